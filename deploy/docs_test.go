package deploy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDocuments: what the documents name is there. A command that names an output or a
// parameter of yesterday costs whoever follows it an hour.
func TestDocuments(t *testing.T) {
	t.Parallel()
	tmpl := load(t, everything())
	has := func(section, name string) bool {
		_, ok := tmpl.document[section].(object)[name]
		return ok
	}
	metrics := at(tmpl.resource("DashboardPage").properties, "DashboardBody").(string)
	for _, file := range []string{"README.md", "FIRST_DEPLOY.md", "samconfig.toml.example", "deploy"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		for _, m := range regexp.MustCompile("[`\"]([A-Z][A-Za-z]+)=").FindAllStringSubmatch(text, -1) {
			if !has("Parameters", m[1]) && m[1] != "ARGS" && m[1] != "PARAMETER" {
				t.Errorf("%s: there is no parameter %s", file, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`\$\(output ([A-Za-z]+)\)|outputs? .([A-Z][A-Za-z]+(?:Url|Name|Target|Command)).`).FindAllStringSubmatch(text, -1) {
			if name := m[1] + m[2]; !has("Outputs", name) {
				t.Errorf("%s: there is no output %s", file, name)
			}
		}
		for _, m := range regexp.MustCompile(`\$\(resource ([A-Za-z]+)\)|--logical-resource-id ([A-Z][A-Za-z]+)`).FindAllStringSubmatch(text, -1) {
			if name := m[1] + m[2]; !has("Resources", name) {
				t.Errorf("%s: there is no resource %s", file, name)
			}
		}
		for _, m := range regexp.MustCompile("`count ([A-Za-z]+) ([a-z]+)`").FindAllStringSubmatch(text, -1) {
			if !strings.Contains(metrics, `"`+m[1]+`", "Function", "`+m[2]+`"`) && m[1] != "Dials" {
				t.Errorf("%s: the dashboard knows no %s of %s", file, m[1], m[2])
			}
		}
		for _, m := range regexp.MustCompile(`\]\(([A-Za-z_./-]*)(#[a-z-]+)?\)`).FindAllStringSubmatch(text, -1) {
			target := m[1]
			if target == "" {
				target = file
			}
			linked, err := os.ReadFile(target)
			if err != nil {
				if _, statErr := os.Stat(target); statErr != nil {
					t.Errorf("%s: %v", file, err)
				}
				continue
			}
			if m[2] != "" && !slices.Contains(anchors(string(linked)), m[2][1:]) {
				t.Errorf("%s: %s has no heading %s", file, target, m[2])
			}
		}
	}
}

// anchors are those of a document's headings.
func anchors(text string) []string {
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		a := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(a, " ", "-"))
	}
	return all
}
