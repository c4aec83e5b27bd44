// Package deploy tests what lies beside it: the template against the program that it
// deploys, and the scripts against stand-ins for the AWS and SAM command lines.
package deploy

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// Values that CloudFormation would fill in.
const (
	region  = "eu-central-1"
	account = "123456789012"
	stack   = "shop"
)

// object is a YAML mapping; functions of CloudFormation are objects of one member,
// in their long form whichever way they were written.
type object = map[string]any

// template is template.yaml, and what a deployment with some parameters makes of it.
type template struct {
	t          *testing.T
	document   object
	parameters map[string]string
}

// load reads the template as a deployment with these parameters would see it. What
// is not named has its default. CULVERT_TEMPLATE names another file than template.yaml:
// deploy/lint has the tests read what sam build makes of it.
func load(t *testing.T, parameters map[string]string) *template {
	t.Helper()
	text, err := os.ReadFile(cmp.Or(os.Getenv("CULVERT_TEMPLATE"), "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	tmpl := &template{t: t, document: plain(t, root.Content[0]).(object), parameters: make(map[string]string)}
	declared := tmpl.document["Parameters"].(object)
	for name, p := range declared {
		tmpl.parameters[name] = fmt.Sprint(p.(object)["Default"])
	}
	for name, value := range parameters {
		if _, ok := declared[name]; !ok {
			t.Fatalf("the template has no parameter %s", name)
		}
		tmpl.parameters[name] = value
	}
	return tmpl
}

// everything turns on all that is optional.
func everything() map[string]string {
	return map[string]string{
		"HttpDomain": "tunnel.example.com", "HttpCertificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/1", "Subdomains": "true",
		"AgentsDomain": "agents.example.com", "AgentsCertificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/2",
		"HostedZoneId": "Z1", "Bucket": "true", "Streaming": "true", "AccountConcurrency": "1000", "PublicConcurrency": "200",
		"AlarmEmail": "me@example.com", "BudgetUSD": "10", "WaitersWhoami": "lambda",
		"Notices": "true", "ConnectAuth": "deferred",
		"JwksUrl": "https://id.example.com/.well-known/jwks.json", "TokenAudience": "culvert", "TokenIssuer": "https://id.example.com/",
	}
}

// deployments are the ways to deploy that every test tries.
func deployments() map[string]map[string]string {
	return map[string]map[string]string{"as it is": nil, "with everything": everything()}
}

// plain turns YAML into Go values, and tags like !Ref into objects like {"Ref": …}.
func plain(t *testing.T, n *yaml.Node) any {
	t.Helper()
	var value any
	switch n.Kind {
	case yaml.MappingNode:
		m := make(object)
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i].Value
			if _, twice := m[key]; twice {
				t.Fatalf("line %d: %s is there twice", n.Content[i].Line, key)
			}
			m[key] = plain(t, n.Content[i+1])
		}
		value = m
	case yaml.SequenceNode:
		list := []any{}
		for _, c := range n.Content {
			list = append(list, plain(t, c))
		}
		value = list
	case yaml.ScalarNode:
		value = n.Value
		if n.Tag != "!!str" && !isFunction(n.Tag) {
			if err := n.Decode(&value); err != nil {
				t.Fatal(err)
			}
		}
	default:
		t.Fatalf("line %d: CloudFormation has no aliases", n.Line)
	}
	if !isFunction(n.Tag) {
		return value
	}
	switch name := n.Tag[1:]; name {
	case "Ref", "Condition":
		return object{name: value}
	case "GetAtt":
		resource, attribute, _ := strings.Cut(value.(string), ".")
		return object{"Fn::GetAtt": []any{resource, attribute}}
	default:
		return object{"Fn::" + name: value}
	}
}

func isFunction(tag string) bool {
	return strings.HasPrefix(tag, "!") && !strings.HasPrefix(tag, "!!")
}

// none is what AWS::NoValue leaves: nothing.
type none struct{}

// condition says whether one of the template's conditions holds.
func (tmpl *template) condition(name string) bool {
	tmpl.t.Helper()
	c, ok := tmpl.document["Conditions"].(object)[name]
	if !ok {
		tmpl.t.Fatalf("there is no condition %s", name)
	}
	return tmpl.resolve(c).(bool)
}

// resolve works out functions. Resources' attributes become words that tell them
// apart; ARNs of resources are "arn:LogicalID", and references "ref:LogicalID".
func (tmpl *template) resolve(v any) any {
	tmpl.t.Helper()
	switch v := v.(type) {
	case []any:
		list := []any{}
		for _, e := range v {
			if e := tmpl.resolve(e); e != (none{}) {
				list = append(list, e)
			}
		}
		return list
	case object:
		if len(v) == 1 {
			for name, arg := range v {
				if name == "Ref" || name == "Condition" || strings.HasPrefix(name, "Fn::") {
					return tmpl.call(name, arg)
				}
			}
		}
		m := make(object)
		for name, e := range v {
			if e := tmpl.resolve(e); e != (none{}) {
				m[name] = e
			}
		}
		return m
	}
	return v
}

func (tmpl *template) call(name string, arg any) any {
	tmpl.t.Helper()
	switch name {
	case "Condition":
		if s, ok := arg.(string); ok {
			return tmpl.condition(s)
		}
		return object{"Condition": tmpl.resolve(arg)} // of an IAM statement
	case "Ref":
		return tmpl.ref(arg.(string))
	case "Fn::GetAtt":
		a := list(arg)
		return tmpl.attribute(a[0], a[1])
	case "Fn::Sub":
		return tmpl.sub(arg)
	case "Fn::If":
		a := arg.([]any)
		if tmpl.condition(a[0].(string)) {
			return tmpl.resolve(a[1])
		}
		return tmpl.resolve(a[2])
	case "Fn::Equals":
		a := tmpl.resolve(arg).([]any)
		return fmt.Sprint(a[0]) == fmt.Sprint(a[1])
	case "Fn::Not":
		return !tmpl.resolve(arg).([]any)[0].(bool)
	case "Fn::And":
		return !slices.Contains(tmpl.resolve(arg).([]any), any(false))
	}
	tmpl.t.Fatalf("the tests do not know %s", name)
	return nil
}

func (tmpl *template) ref(name string) any {
	tmpl.t.Helper()
	switch name {
	case "AWS::NoValue":
		return none{}
	case "AWS::Region":
		return region
	case "AWS::AccountId":
		return account
	case "AWS::StackName":
		return stack
	case "AWS::Partition":
		return "aws"
	case "AWS::URLSuffix":
		return "amazonaws.com"
	}
	if value, ok := tmpl.parameters[name]; ok {
		return value
	}
	tmpl.exists(name)
	return "ref:" + name
}

func (tmpl *template) attribute(resource, name string) string {
	tmpl.t.Helper()
	tmpl.exists(resource)
	switch name {
	case "Arn":
		return "arn:" + resource
	case "ApiEndpoint":
		return "https://" + resource + ".execute-api." + region + ".amazonaws.com"
	case "FunctionUrl":
		return "https://" + resource + ".lambda-url." + region + ".on.aws/"
	}
	return resource + "." + name
}

// exists fails if a resource is not there in this deployment: CloudFormation would.
func (tmpl *template) exists(name string) {
	tmpl.t.Helper()
	r, ok := tmpl.document["Resources"].(object)[name].(object)
	if !ok {
		tmpl.t.Fatalf("there is no resource %s", name)
	}
	if c, ok := r["Condition"]; ok && !tmpl.condition(c.(string)) {
		tmpl.t.Fatalf("the resource %s is referred to, and not made", name)
	}
}

func (tmpl *template) sub(arg any) string {
	tmpl.t.Helper()
	text, own := "", object{}
	switch a := arg.(type) {
	case string:
		text = a
	case []any:
		text, own = a[0].(string), a[1].(object)
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "${")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		text = after
		resource, attribute, isAttribute := strings.Cut(name, ".")
		switch {
		case own[name] != nil:
			fmt.Fprint(&b, tmpl.resolve(own[name]))
		case isAttribute:
			b.WriteString(tmpl.attribute(resource, attribute))
		default:
			// References to resources are their names in AWS: the logical ID does for these.
			b.WriteString(strings.TrimPrefix(fmt.Sprint(tmpl.ref(name)), "ref:"))
		}
	}
}

// resource is one resource of this deployment.
type resource struct {
	id, kind   string
	properties object
	dependsOn  []string
	raw        object
}

// resources gives all resources of a type that this deployment makes, by their IDs.
func (tmpl *template) resources(kind string) map[string]resource {
	tmpl.t.Helper()
	found := make(map[string]resource)
	for id := range tmpl.document["Resources"].(object) {
		if r, ok := tmpl.find(id); ok && (kind == "" || r.kind == kind) {
			found[id] = r
		}
	}
	return found
}

// resource gives one resource, which has to be there.
func (tmpl *template) resource(id string) resource {
	tmpl.t.Helper()
	r, ok := tmpl.find(id)
	if !ok {
		tmpl.t.Fatalf("this deployment makes no %s", id)
	}
	return r
}

func (tmpl *template) find(id string) (resource, bool) {
	tmpl.t.Helper()
	raw, ok := tmpl.document["Resources"].(object)[id].(object)
	if !ok {
		return resource{}, false
	}
	if c, ok := raw["Condition"]; ok && !tmpl.condition(c.(string)) {
		return resource{}, false
	}
	r := resource{id: id, kind: raw["Type"].(string), properties: object{}, raw: raw}
	if p, ok := raw["Properties"]; ok {
		r.properties = tmpl.resolve(p).(object)
	}
	switch d := raw["DependsOn"].(type) {
	case string:
		r.dependsOn = []string{d}
	case []any:
		for _, e := range d {
			r.dependsOn = append(r.dependsOn, e.(string))
		}
	}
	return r, true
}

// at walks down a resolved value: at(v, "a", "b") is v["a"]["b"], nil if it is not there.
func at(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(object)
		v = m[name]
	}
	return v
}

// list makes a list of what IAM takes alone or in a list.
func list(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, e := range v {
			all = append(all, e.(string))
		}
		return all
	}
	return nil
}

// TestEveryDeploymentResolves would notice references to what is not made, which
// CloudFormation reports only in the middle of a deployment.
func TestEveryDeploymentResolves(t *testing.T) {
	t.Parallel()
	ways := deployments()
	for name, value := range everything() {
		ways["with "+name] = map[string]string{name: value}
	}
	for _, off := range []string{"Waiters", "AccessLogs", "Dashboard", "Alarms"} {
		ways["without "+off] = map[string]string{off: "false"}
	}
	ways["with text logs"] = map[string]string{"LambdaLogFormat": "Text"}
	ways["with notices and no alarms"] = map[string]string{"Notices": "true", "Alarms": "false"}
	for name, parameters := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tmpl := load(t, parameters)
			all := tmpl.resources("")
			for id, r := range all {
				for _, d := range r.dependsOn {
					if _, ok := all[d]; !ok {
						t.Errorf("%s depends on %s, which is not made", id, d)
					}
				}
			}
			for name, o := range tmpl.document["Outputs"].(object) {
				if c, ok := o.(object)["Condition"]; ok && !tmpl.condition(c.(string)) {
					continue
				}
				if fmt.Sprint(tmpl.resolve(o.(object)["Value"])) == "" {
					t.Errorf("the output %s is empty", name)
				}
			}
		})
	}
}

// TestTemplateFits: sam uploads the template to S3, where CloudFormation takes a million
// bytes of it, of what SAM makes of it too; in the call itself it would take 51,200.
//
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
func TestTemplateFits(t *testing.T) {
	t.Parallel()
	info, err := os.Stat("template.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 500_000 {
		t.Errorf("%d bytes", info.Size())
	}
	tmpl := load(t, everything())
	for section, most := range map[string]int{"Parameters": 200, "Resources": 500, "Outputs": 200} {
		if n := len(tmpl.document[section].(object)); n > most {
			t.Errorf("%d %s", n, section)
		}
	}
}

// TestParametersAreGroupedAndUsed keeps the console's form complete.
func TestParametersAreGroupedAndUsed(t *testing.T) {
	t.Parallel()
	tmpl := load(t, nil)
	var grouped []string
	for _, g := range at(tmpl.document["Metadata"], "AWS::CloudFormation::Interface", "ParameterGroups").([]any) {
		grouped = append(grouped, list(g.(object)["Parameters"])...)
	}
	slices.Sort(grouped)
	declared := slices.Sorted(maps.Keys(tmpl.document["Parameters"].(object)))
	if !slices.Equal(grouped, declared) {
		t.Errorf("the groups list\n%v\nand the parameters are\n%v", grouped, declared)
	}
	for name, p := range tmpl.document["Parameters"].(object) {
		p := p.(object)
		if p["Description"] == nil || p["Default"] == nil {
			t.Errorf("%s lacks a description or a default: a first deployment should need no decision", name)
		}
	}
}
