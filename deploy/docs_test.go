package deploy

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
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

// TestOwnAction: the README's action is one, by itself.
func TestOwnAction(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(text), "```go\n")
	code, _, ended := strings.Cut(code, "```\n")
	if !ended || !strings.Contains(code, `add("hello"`) {
		t.Fatal("the README shows no action")
	}
	into, err := filepath.Abs("../backend/action/hello.go")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, program := filepath.Join(dir, "hello.go"), filepath.Join(dir, "main.go")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{into: file}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		file: code, filepath.Join(dir, "overlay.json"): string(overlay), program: `package main

import (
	"context"
	"fmt"

	"culvert/backend/action"
)

func main() {
	for _, user := range []string{"ann", ""} {
		result, err := action.Do(context.Background(), &action.Call{Action: "hello", User: user})
		fmt.Println(string(result), err)
	}
}
`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("go", "run", "-overlay", filepath.Join(dir, "overlay.json"), program).CombinedOutput()
	if want := "\"Hello, ann\" <nil>\n hello needs to know who you are\n"; err != nil || string(out) != want {
		t.Errorf("%v, prints\n%swant\n%s", err, out, want)
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
