package deploy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// violated gives the descriptions of the template's rules that a deployment breaks.
func (tmpl *template) violated() []string {
	tmpl.t.Helper()
	var broken []string
	for _, r := range tmpl.document["Rules"].(object) {
		if c := at(r, "RuleCondition"); c != nil && !tmpl.resolve(c).(bool) {
			continue
		}
		for _, a := range at(r, "Assertions").([]any) {
			if !tmpl.resolve(at(a, "Assert")).(bool) {
				broken = append(broken, at(a, "AssertDescription").(string))
			}
		}
	}
	slices.Sort(broken)
	return broken
}

// TestRules: parameters that make no sense without another are refused before anything
// is made, in words that say what is missing.
func TestRules(t *testing.T) {
	t.Parallel()
	for name, parameters := range deployments() {
		if broken := load(t, parameters).violated(); broken != nil {
			t.Errorf("%s breaks: %q", name, broken)
		}
	}
	for _, c := range []struct {
		without []string // of everything
		names   []string // that are said to be missing
	}{
		{[]string{"HttpCertificateArn"}, []string{"HttpDomain needs HttpCertificateArn"}},
		{[]string{"HttpDomain"}, []string{"Subdomains needs HttpDomain"}},
		{[]string{"AgentsCertificateArn"}, []string{"AgentsDomain needs AgentsCertificateArn"}},
		{[]string{"AlarmEmail"}, []string{"BudgetUSD needs AlarmEmail"}},
		// Else tokens for any application of the same provider would open tunnels.
		{[]string{"TokenAudience"}, []string{"JwksUrl needs TokenAudience"}},
		{[]string{"TokenIssuer"}, []string{"JwksUrl needs TokenIssuer"}},
		{[]string{"TokenAudience", "TokenIssuer"}, []string{"JwksUrl needs TokenAudience", "JwksUrl needs TokenIssuer"}},
		{[]string{"JwksUrl"}, nil},
		{[]string{"JwksUrl", "TokenAudience", "TokenIssuer"}, nil},
	} {
		parameters := everything()
		for _, name := range c.without {
			parameters[name] = ""
		}
		broken := load(t, parameters).violated()
		if !slices.EqualFunc(broken, c.names, strings.HasPrefix) {
			t.Errorf("without %v: %q, want %q", c.without, broken, c.names)
		}
	}
	same := everything()
	same["AgentsDomain"] = same["HttpDomain"]
	if broken := load(t, same).violated(); len(broken) != 1 || !strings.Contains(broken[0], "must differ") {
		t.Errorf("one name for both APIs: %q", broken)
	}
}

// allows reports whether CloudFormation would take a value for a parameter.
func (tmpl *template) allows(name, value string) bool {
	tmpl.t.Helper()
	p := tmpl.document["Parameters"].(object)[name].(object)
	if pattern, ok := p["AllowedPattern"].(string); ok && !regexp.MustCompile(`^(?:`+pattern+`)$`).MatchString(value) {
		return false
	}
	if values, ok := p["AllowedValues"].([]any); ok && !slices.ContainsFunc(values, func(v any) bool { return fmt.Sprint(v) == value }) {
		return false
	}
	if p["Type"] != "Number" {
		return true
	}
	n, err := strconv.Atoi(value)
	least, _ := p["MinValue"].(int)
	most, bounded := p["MaxValue"].(int)
	return err == nil && n >= least && (!bounded || n <= most)
}

// TestParametersAllow: a mistyped value is refused before anything is made, and a value
// that a command has in it cannot bring in another.
func TestParametersAllow(t *testing.T) {
	t.Parallel()
	tmpl := load(t, everything())
	for name, value := range tmpl.parameters {
		if !tmpl.allows(name, value) {
			t.Errorf("%s=%s is refused", name, value)
		}
	}
	for name, p := range tmpl.document["Parameters"].(object) {
		if !tmpl.allows(name, fmt.Sprint(p.(object)["Default"])) {
			t.Errorf("%s: its default is refused", name)
		}
		if p := p.(object); p["AllowedPattern"] == nil && p["AllowedValues"] == nil && p["Type"] != "Number" {
			t.Errorf("%s may be anything", name)
		}
	}
	for name, values := range map[string]struct{ good, bad []string }{
		"ConnectAuth": {[]string{"required", "deferred"}, []string{"", "none", "Required", "optional"}},
		"Notices":     {[]string{"true", "false"}, []string{"", "yes"}},
		"JwksUrl": {
			[]string{
				"", "https://example.eu.auth0.com/.well-known/jwks.json", "https://www.googleapis.com/oauth2/v3/certs",
				"https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbC/.well-known/jwks.json",
				"https://login.microsoftonline.com/0c1a/discovery/v2.0/keys?appid=1", "https://id.example.com:8443/keys",
			},
			[]string{"http://id.example.com/keys", "https://id.example.com", "https://u:p@id.example.com/keys", "https://id.example.com/a b", "keys.json", "file:///etc/passwd"},
		},
		"TokenAudience": {[]string{"", "api://culvert", "0c1a-22", "https://tunnel.example.com/"}, []string{"a b", "a;rm", "$(id)", "a'b", `a"b`, "a`b", "a,b", strings.Repeat("a", 257)}},
		"TokenIssuer":   {[]string{"", "accounts.google.com", "https://example.eu.auth0.com/"}, []string{"a b", "a&b", "$x", "a\nb"}},
	} {
		for _, v := range values.good {
			if !tmpl.allows(name, v) {
				t.Errorf("%s=%q is refused", name, v)
			}
		}
		for _, v := range values.bad {
			if tmpl.allows(name, v) {
				t.Errorf("%s=%q is accepted", name, v)
			}
		}
	}
}

// TestTokenCommand: tokens that are minted as the outputs say are good here.
func TestTokenCommand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		parameters map[string]string
		want       string
	}{
		{nil, "umask 077 && deploy/token --stack shop --region eu-central-1 --sub me > token"},
		{everything(), "umask 077 && deploy/token --stack shop --region eu-central-1 --aud culvert --iss https://id.example.com/ --sub me > token"},
	} {
		tmpl := load(t, c.parameters)
		if got := tmpl.resolve(at(tmpl.document, "Outputs", "TokenCommand", "Value")); got != c.want {
			t.Errorf("says %s\nwant %s", got, c.want)
		}
	}
}
