package awslocal_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"culvert/backend/awslocal"
)

// The stand-in routes and throttles as the template has AWS do it.
func TestLikeTheTemplate(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.FromSlash("../../deploy/template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	selections := regexp.MustCompile(`(?m)^ +RouteSelectionExpression: (.+)$`).FindAllSubmatch(text, -1)
	if len(selections) != 2 {
		t.Errorf("the template has %d WebSocket APIs", len(selections))
	}
	for _, m := range selections {
		if got := string(m[1]); got != awslocal.RouteSelection {
			t.Errorf("routes are selected by %s here, by %s there", awslocal.RouteSelection, got)
		}
	}
	var routes []string
	for _, m := range regexp.MustCompile(`(?m)^ +RouteKey: (.+)\n +AuthorizationType: NONE\n +RouteResponseSelectionExpression: \$default\n +Target: !Sub integrations/\$\{AgentsIntegration\}$`).FindAllSubmatch(text, -1) {
		routes = append(routes, string(m[1]))
	}
	slices.Sort(routes)
	if here := awslocal.ActionRoutes(); !slices.Equal(routes, here) {
		t.Errorf("the routes with an answer are %s here, %s there", here, routes)
	}
	for line, want := range map[string]int{
		`VisibilityTimeout: 180`: 2, `MaximumMessageSize: 65536`: 2, `maxReceiveCount: 5`: 2, `MessageRetentionPeriod: 1209600 .*`: 2,
		`ScalingConfig: \{ MaximumConcurrency: 2 \}`: 2, `QueueName: !Sub \$\{AWS::StackName\}-notify-(user|connection)(-dead)?`: 4,
	} {
		if got := len(regexp.MustCompile(`(?m)^ +`+line+`$`).FindAll(text, -1)); got != want {
			t.Errorf("%d times %q in the template, want %d", got, line, want)
		}
	}
	for parameter, want := range map[string]int{"ConnectRate": awslocal.ConnectRate, "ConnectBurst": awslocal.ConnectBurst} {
		m := regexp.MustCompile(`(?m)^  ` + parameter + `:\n +Type: Number\n +Default: (\d+)$`).FindSubmatch(text)
		if m == nil {
			t.Errorf("the template has no default for %s", parameter)
		} else if got, _ := strconv.Atoi(string(m[1])); got != want {
			t.Errorf("%s is %d here, %d there", parameter, want, got)
		}
	}
}
