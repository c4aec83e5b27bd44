package deploy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// grant is one action on one resource.
type grant struct{ action, resource string }

// grants gives what a function's role allows, its managed policies included.
func grants(tmpl *template, role string) []grant {
	tmpl.t.Helper()
	r := tmpl.resource(role).properties
	var documents []any
	if policies, ok := at(r, "Policies").([]any); ok {
		for _, p := range policies {
			documents = append(documents, at(p, "PolicyDocument"))
		}
	}
	for _, arn := range list(at(r, "ManagedPolicyArns")) {
		id, own := strings.CutPrefix(arn, "ref:")
		if !own {
			continue // AWS's
		}
		documents = append(documents, at(tmpl.resource(id).properties, "PolicyDocument"))
	}
	var all []grant
	for _, d := range documents {
		for _, s := range at(d, "Statement").([]any) {
			if at(s, "Effect") != "Allow" {
				tmpl.t.Errorf("%s: a statement that does not allow: %v", role, s)
			}
			for _, action := range list(at(s, "Action")) {
				for _, on := range list(at(s, "Resource")) {
					all = append(all, grant{action, on})
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b grant) int { return strings.Compare(a.action+" "+a.resource, b.action+" "+b.resource) })
	return all
}

// TestRolesAllowExactly fixes what each function may do, word for word: a change here
// is one that a reviewer should see.
func TestRolesAllowExactly(t *testing.T) {
	t.Parallel()
	const (
		keys    = "arn:aws:ssm:eu-central-1:123456789012:parameter/culvert/shop/keys"
		agents  = "arn:aws:execute-api:eu-central-1:123456789012:AgentsApi/live"
		waiters = "arn:aws:execute-api:eu-central-1:123456789012:WaitersApi/live"
	)
	visitors := []grant{
		{"dynamodb:GetItem", "arn:TunnelsTable"},
		{"dynamodb:Query", "arn:AnswersTable"},
		{"dynamodb:UpdateItem", "arn:TunnelsTable"},
		{"execute-api:Invoke", waiters + "/$connect"},
		{"s3:GetObject", "arn:BodiesBucket/answers/*"},
		{"s3:GetObject", "arn:BodiesBucket/requests/*"},
		{"s3:PutObject", "arn:BodiesBucket/answers/*"},
		{"s3:PutObject", "arn:BodiesBucket/requests/*"},
		{"execute-api:ManageConnections", agents + "/POST/@connections/*"},
		{"ssm:GetParameter", keys},
	}
	want := map[string][]grant{
		"KeysRole": {
			{"logs:CreateLogStream", "arn:KeysLogs"},
			{"logs:PutLogEvents", "arn:KeysLogs"},
			{"ssm:DeleteParameter", keys},
			{"ssm:GetParameter", keys},
			{"ssm:PutParameter", keys},
		},
		"AgentsRole": {
			{"dynamodb:BatchGetItem", "arn:ConnectionsTable"},
			{"dynamodb:DeleteItem", "arn:ConnectionsTable"},
			{"dynamodb:DeleteItem", "arn:UsersTable"},
			{"dynamodb:GetItem", "arn:ConnectionsTable"},
			{"dynamodb:GetItem", "arn:TunnelsTable"},
			{"dynamodb:PutItem", "arn:AnswersTable"},
			{"dynamodb:UpdateItem", "arn:UsersTable"},
			{"dynamodb:Query", "arn:UsersTable"},
			{"lambda:InvokeFunction", "arn:ProcessorFunction"},
			{"dynamodb:PutItem", "arn:ConnectionsTable"},
			{"dynamodb:PutItem", "arn:TunnelsTable"},
			{"dynamodb:UpdateItem", "arn:ConnectionsTable"},
			{"dynamodb:UpdateItem", "arn:TunnelsTable"},
			{"execute-api:ManageConnections", agents + "/DELETE/@connections/*"},
			{"execute-api:ManageConnections", agents + "/GET/@connections/*"},
			{"execute-api:ManageConnections", agents + "/POST/@connections/*"},
			{"execute-api:ManageConnections", waiters + "/POST/@connections/*"},
			{"logs:CreateLogStream", "arn:AgentsLogs"},
			{"logs:PutLogEvents", "arn:AgentsLogs"},
			{"ssm:GetParameter", keys},
		},
		"ProcessorRole": {
			{"logs:CreateLogStream", "arn:ProcessorLogs"},
			{"logs:PutLogEvents", "arn:ProcessorLogs"},
		},
		"NoticesRole": {
			{"dynamodb:DeleteItem", "arn:ConnectionsTable"},
			{"dynamodb:DeleteItem", "arn:UsersTable"},
			{"dynamodb:GetItem", "arn:ConnectionsTable"},
			{"dynamodb:Query", "arn:UsersTable"},
			{"execute-api:ManageConnections", agents + "/POST/@connections/*"},
			{"logs:CreateLogStream", "arn:NoticesLogs"},
			{"logs:PutLogEvents", "arn:NoticesLogs"},
			{"sqs:DeleteMessage", "arn:NotifyConnectionQueue"},
			{"sqs:DeleteMessage", "arn:NotifyUserQueue"},
			{"sqs:GetQueueAttributes", "arn:NotifyConnectionQueue"},
			{"sqs:GetQueueAttributes", "arn:NotifyUserQueue"},
			{"sqs:ReceiveMessage", "arn:NotifyConnectionQueue"},
			{"sqs:ReceiveMessage", "arn:NotifyUserQueue"},
			{"sqs:SendMessage", "arn:NotifyConnectionQueue"},
		},
		"PublicRole": append([]grant{
			{"logs:CreateLogStream", "arn:PublicLogs"},
			{"logs:PutLogEvents", "arn:PublicLogs"},
		}, visitors...),
		"StreamRole": append([]grant{
			{"logs:CreateLogStream", "arn:StreamLogs"},
			{"logs:PutLogEvents", "arn:StreamLogs"},
		}, visitors...),
	}
	tmpl := load(t, everything())
	for role, want := range want {
		slices.SortFunc(want, func(a, b grant) int { return strings.Compare(a.action+" "+a.resource, b.action+" "+b.resource) })
		if got := grants(tmpl, role); !slices.Equal(got, want) {
			t.Errorf("%s allows\n%s\nwant\n%s", role, lines(got), lines(want))
		}
	}
	for role := range tmpl.resources("AWS::IAM::Role") {
		if want[role] == nil && role != "ApiGatewayRole" { // has AWS's policy, as API Gateway demands it
			t.Errorf("nothing says what %s allows", role)
		}
	}
}

func lines(gs []grant) string {
	var b strings.Builder
	for _, g := range gs {
		fmt.Fprintf(&b, "  %s on %s\n", g.action, g.resource)
	}
	return b.String()
}

// TestNoWildcards: every action by its name, every resource as one thing; the parts
// that cannot be known beforehand, connections and objects, are at the ends.
func TestNoWildcards(t *testing.T) {
	t.Parallel()
	action := regexp.MustCompile(`^[a-z0-9-]+:[A-Za-z]+$`)
	ends := regexp.MustCompile(`^(arn:aws:execute-api:.*/@connections|arn:BodiesBucket/(answers|requests))/\*$`)
	for name, parameters := range deployments() {
		tmpl := load(t, parameters)
		for id := range tmpl.resources("AWS::IAM::Role") {
			if id == "ApiGatewayRole" {
				continue // has AWS's policy, of exact actions, as API Gateway demands it
			}
			for _, g := range grants(tmpl, id) {
				if !action.MatchString(g.action) {
					t.Errorf("%s, %s: the action %s", name, id, g.action)
				}
				if strings.Contains(g.resource, "*") && !ends.MatchString(g.resource) {
					t.Errorf("%s, %s: %s on %s", name, id, g.action, g.resource)
				}
			}
		}
		for id, p := range tmpl.resources("AWS::IAM::ManagedPolicy") {
			if got := fmt.Sprint(p.properties); strings.Contains(got, "Action:*") {
				t.Errorf("%s, %s allows every action", name, id)
			}
		}
	}
}

// TestWhatIsOffIsNotAllowed: without a bucket nobody may touch one.
func TestWhatIsOffIsNotAllowed(t *testing.T) {
	t.Parallel()
	for _, g := range grants(load(t, nil), "PublicRole") {
		if strings.HasPrefix(g.action, "s3:") {
			t.Errorf("%s on %s, without a bucket", g.action, g.resource)
		}
	}
}

// TestRolesAreTrustedByTheirServices: nobody but Lambda can take the functions' roles.
func TestRolesAreTrustedByTheirServices(t *testing.T) {
	t.Parallel()
	for id, r := range load(t, everything()).resources("AWS::IAM::Role") {
		want := "lambda.amazonaws.com"
		if id == "ApiGatewayRole" {
			want = "apigateway.amazonaws.com"
		}
		for _, s := range at(r.properties, "AssumeRolePolicyDocument", "Statement").([]any) {
			if at(s, "Principal", "Service") != want || at(s, "Action") != "sts:AssumeRole" {
				t.Errorf("%s trusts %v", id, s)
			}
		}
	}
}
