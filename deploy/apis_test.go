package deploy

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"culvert/backend/action"
	"culvert/backend/lambda/agents"
)

// TestPermissionsNameTheStage is about the fault that cost most: a permission whose
// SourceArn ends before the stage and the route matches no call, so API Gateway
// answers 500 and no Lambda log says why.
func TestPermissionsNameTheStage(t *testing.T) {
	t.Parallel()
	for name, parameters := range deployments() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tmpl := load(t, parameters)
			sources := make(map[string]string) // API and function → SourceArn
			for id, p := range tmpl.resources("AWS::Lambda::Permission") {
				if at(p.properties, "Principal") != "apigateway.amazonaws.com" {
					continue
				}
				arn := fmt.Sprint(at(p.properties, "SourceArn"))
				m := regexp.MustCompile(`^arn:aws:execute-api:` + region + `:` + account + `:(\w+)/\*/\*$`).FindStringSubmatch(arn)
				if m == nil {
					t.Errorf("%s: SourceArn %s does not end in API/stage/route", id, arn)
					continue
				}
				if at(p.properties, "Action") != "lambda:InvokeFunction" {
					t.Errorf("%s: action %v", id, at(p.properties, "Action"))
				}
				sources[m[1]+" "+strings.TrimPrefix(fmt.Sprint(at(p.properties, "FunctionName")), "ref:")] = arn
			}
			for id, i := range tmpl.resources("AWS::ApiGatewayV2::Integration") {
				if at(i.properties, "IntegrationType") != "AWS_PROXY" {
					continue
				}
				api := strings.TrimPrefix(fmt.Sprint(at(i.properties, "ApiId")), "ref:")
				function := regexp.MustCompile(`arn:(\w+Function)`).FindStringSubmatch(fmt.Sprint(at(i.properties, "IntegrationUri")))[1]
				if sources[api+" "+function] == "" {
					t.Errorf("%s calls %s for %s, and no permission lets it", id, function, api)
				}
				delete(sources, api+" "+function)
			}
			for left := range sources {
				t.Errorf("a permission for %s, which no integration needs", left)
			}
		})
	}
}

// TestFunctionURLHasBothPermissions: since October 2025 a public Function URL needs
// lambda:InvokeFunctionUrl and lambda:InvokeFunction.
func TestFunctionURLHasBothPermissions(t *testing.T) {
	t.Parallel()
	tmpl := load(t, everything())
	if got := at(tmpl.resource("StreamUrl").properties, "InvokeMode"); got != "RESPONSE_STREAM" {
		t.Errorf("InvokeMode is %v", got)
	}
	found := make(map[string]object)
	for _, p := range tmpl.resources("AWS::Lambda::Permission") {
		if at(p.properties, "FunctionName") == "ref:StreamFunction" {
			found[at(p.properties, "Action").(string)] = p.properties
		}
	}
	if p := found["lambda:InvokeFunctionUrl"]; at(p, "FunctionUrlAuthType") != "NONE" || at(p, "Principal") != "*" {
		t.Errorf("lambda:InvokeFunctionUrl: %v", p)
	}
	if p := found["lambda:InvokeFunction"]; at(p, "InvokedViaFunctionUrl") != true || at(p, "Principal") != "*" {
		t.Errorf("lambda:InvokeFunction: %v; without InvokedViaFunctionUrl anyone could invoke the function directly", p)
	}
}

func TestStages(t *testing.T) {
	t.Parallel()
	for name, parameters := range deployments() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tmpl := load(t, parameters)
			stages := tmpl.resources("AWS::ApiGatewayV2::Stage")
			if len(stages) != 3 {
				t.Errorf("%d stages, want 3", len(stages))
			}
			for id, s := range stages {
				if at(s.properties, "AutoDeploy") != true {
					t.Errorf("%s does not deploy itself, and there is no deployment", id)
				}
				settings := at(s.properties, "DefaultRouteSettings")
				if at(settings, "ThrottlingRateLimit") == nil || at(settings, "ThrottlingBurstLimit") == nil {
					t.Errorf("%s states no throttle: strangers could use up the account's", id)
				}
				api := strings.TrimPrefix(fmt.Sprint(at(s.properties, "ApiId")), "ref:")
				webSocket := at(tmpl.resource(api).properties, "ProtocolType") == "WEBSOCKET"
				stage := at(s.properties, "StageName")
				if webSocket == (stage == "$default") {
					t.Errorf("%s: stage %v: $default is for the HTTP API, where any other would stay in the path, and not for WebSocket APIs", id, stage)
				}
				if !webSocket {
					continue
				}
				if at(settings, "LoggingLevel") != "OFF" || at(settings, "DataTraceEnabled") != false {
					t.Errorf("%s: execution logs are not off, they would show tokens and messages", id)
				}
				if !slices.Contains(s.dependsOn, "ApiGatewayAccount") {
					t.Errorf("%s does not wait for the account's logging role, and would be refused", id)
				}
				// A stage that deploys itself needs routes to deploy.
				for route, r := range tmpl.resources("AWS::ApiGatewayV2::Route") {
					if at(r.properties, "ApiId") == "ref:"+api && !waitsFor(tmpl, s, route) {
						t.Errorf("%s does not wait for %s", id, route)
					}
				}
			}
		})
	}
}

// waitsFor reports whether r is made after other, be it by what it depends on.
func waitsFor(tmpl *template, r resource, other string) bool {
	for _, d := range r.dependsOn {
		on := tmpl.resource(d)
		if d == other || waitsFor(tmpl, on, other) || strings.Contains(fmt.Sprint(on.properties), "ref:"+other) {
			return true
		}
	}
	return false
}

// TestThrottleDefaults fixes what the README calculates the worst month with.
func TestThrottleDefaults(t *testing.T) {
	t.Parallel()
	tmpl := load(t, nil)
	for stage, want := range map[string][2]string{"HttpStage": {"50", "500"}, "AgentsStage": {"500", "1000"}, "WaitersStage": {"50", "500"}} {
		if got := throttle(at(tmpl.resource(stage).properties, "DefaultRouteSettings")); got != want {
			t.Errorf("%s: throttled at %v, want %v", stage, got, want)
		}
	}
}

func throttle(settings any) [2]string {
	return [2]string{fmt.Sprint(at(settings, "ThrottlingRateLimit")), fmt.Sprint(at(settings, "ThrottlingBurstLimit"))}
}

// TestThrottlesAreParameters: each of them is where its description says.
func TestThrottlesAreParameters(t *testing.T) {
	t.Parallel()
	tmpl := load(t, map[string]string{
		"HttpRate": "1", "HttpBurst": "2", "ConnectRate": "3", "ConnectBurst": "4", "AgentsRate": "5", "AgentsBurst": "6", "WaitersRate": "7", "WaitersBurst": "8",
	})
	for stage, want := range map[string][2]string{"HttpStage": {"1", "2"}, "AgentsStage": {"5", "6"}, "WaitersStage": {"7", "8"}} {
		if got := throttle(at(tmpl.resource(stage).properties, "DefaultRouteSettings")); got != want {
			t.Errorf("%s: throttled at %v, want %v", stage, got, want)
		}
	}
	if got := throttle(at(tmpl.resource("AgentsStage").properties, "RouteSettings", "$connect")); got != [2]string{"3", "4"} {
		t.Errorf("handshakes are throttled at %v", got)
	}
}

// TestThrottlesOfRoutes: anybody can dial without a token. Were handshakes throttled
// together with messages, a stranger's would keep agents' answers out. And a list of
// connections has API Gateway be asked for each of them: with all that AgentsRate lets
// in, one token would use up the account's limit. Messages of all other routes are to
// share AgentsRate.
func TestThrottlesOfRoutes(t *testing.T) {
	t.Parallel()
	tmpl := load(t, nil)
	own, _ := at(tmpl.resource("AgentsStage").properties, "RouteSettings").(object)
	throttles := map[string][2]string{"$connect": {"20", "100"}, "connections": {"5", "20"}}
	if got, want := slices.Sorted(maps.Keys(own)), slices.Sorted(maps.Keys(throttles)); !slices.Equal(got, want) {
		t.Fatalf("settings for the routes %v, want %v", got, want)
	}
	for route, throttled := range throttles {
		if got := throttle(own[route]); got != throttled {
			t.Errorf("%s: throttled at %v, want %v", route, got, throttled)
		}
		// A route's settings take nothing over from the default ones.
		for name, want := range map[string]string{"LoggingLevel": "OFF", "DataTraceEnabled": "false", "DetailedMetricsEnabled": "false"} {
			if got := fmt.Sprint(at(own[route], name)); got != want {
				t.Errorf("%s: %s is %s, want %s", route, name, got, want)
			}
		}
		// Settings of a route that is not there would fail the deployment.
		if !slices.ContainsFunc(slices.Collect(maps.Values(tmpl.resources("AWS::ApiGatewayV2::Route"))), func(r resource) bool {
			return at(r.properties, "ApiId") == "ref:AgentsApi" && at(r.properties, "RouteKey") == route
		}) {
			t.Errorf("there is no route %s", route)
		}
	}
}

// TestAccessLogs checks the fields, and that no query string can get in: it may hold
// an agent's token, or a visitor's secret.
func TestAccessLogs(t *testing.T) {
	t.Parallel()
	tmpl := load(t, nil)
	common := []string{
		"$context.identity.sourceIp", "$context.requestTime", "$context.routeKey", "$context.protocol", "$context.status",
		"$context.responseLength", "$context.requestId", "$context.integrationStatus", "$context.integrationErrorMessage", "$context.error.responseType",
	}
	webSocket := []string{"$context.eventType", "$context.connectionId"}
	for stage, own := range map[string][]string{
		"HttpStage": {"$context.httpMethod", "$context.responseLatency"}, "AgentsStage": webSocket, "WaitersStage": webSocket,
	} {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			into := at(tmpl.resource(stage).properties, "AccessLogSettings", "DestinationArn")
			if want := "arn:" + strings.TrimSuffix(stage, "Stage") + "AccessLogs"; into != want {
				t.Errorf("logs go to %v, want %s", into, want)
			}
			format, _ := at(tmpl.resource(stage).properties, "AccessLogSettings", "Format").(string)
			var line map[string]string
			if err := json.Unmarshal([]byte(format), &line); err != nil {
				t.Fatalf("the format is no JSON object of strings: %v\n%s", err, format)
			}
			var fields []string
			for _, v := range line {
				fields = append(fields, v)
			}
			for _, want := range slices.Concat(common, own) {
				if !slices.Contains(fields, want) {
					t.Errorf("%s is not logged", want)
				}
			}
			for _, f := range fields {
				// Exact variables only; $context.path has no query, but names tunnels.
				if !strings.HasPrefix(f, "$context.") || strings.ContainsAny(f, " ?") || slices.Contains(
					[]string{"$context.path", "$context.authorizer", "$context.customDomain.basePathMatched"}, f) ||
					strings.Contains(strings.ToLower(f), "query") || strings.Contains(f, "$input") {
					t.Errorf("%s is logged", f)
				}
				// Between quotes, these make a line that is no JSON just when something is wrong.
				if slices.Contains([]string{"$context.error.message", "$context.error.messageString", "$context.error.validationErrorString"}, f) {
					t.Errorf("%s is logged, and may hold quotation marks", f)
				}
			}
		})
	}
	for id, s := range load(t, map[string]string{"AccessLogs": "false"}).resources("AWS::ApiGatewayV2::Stage") {
		if at(s.properties, "AccessLogSettings") != nil {
			t.Errorf("%s logs although AccessLogs is false", id)
		}
	}
}

// TestLogRole: the account's one role for API Gateway is neither replaced if there is
// one, nor taken away with the stack.
func TestLogRole(t *testing.T) {
	t.Parallel()
	tmpl := load(t, nil)
	if got := at(tmpl.resource("ApiGatewayAccount").properties, "CloudWatchRoleArn"); got != "arn:ApiGatewayRole" {
		t.Errorf("without a role given, the account gets %v", got)
	}
	for _, id := range []string{"ApiGatewayAccount", "ApiGatewayRole"} {
		if r := tmpl.resource(id); r.raw["DeletionPolicy"] != "Retain" || r.raw["UpdateReplacePolicy"] != "Retain" {
			t.Errorf("%s goes with the stack", id)
		}
	}
	given := load(t, map[string]string{"ApiGatewayLogRoleArn": "arn:aws:iam::123456789012:role/theirs"})
	if got := at(given.resource("ApiGatewayAccount").properties, "CloudWatchRoleArn"); got != "arn:aws:iam::123456789012:role/theirs" {
		t.Errorf("with a role given, the account gets %v", got)
	}
	if _, made := given.find("ApiGatewayRole"); made {
		t.Error("a role is made although there is one")
	}
}

// TestAgentsRoutes: messages of tunnels have no action, so they take $default, and the
// function looks for the token itself. Each action that there is has a route with a
// response, by which what the function returns reaches the client without a post.
func TestAgentsRoutes(t *testing.T) {
	t.Parallel()
	tmpl := load(t, nil)
	if got := at(tmpl.resource("AgentsApi").properties, "RouteSelectionExpression"); got != "$request.body.action" {
		t.Errorf("routes are selected by %v", got)
	}
	actions := slices.Concat(agents.OwnActions(), action.Names())
	responses := make(map[string]string) // of routes, by their IDs
	for id, r := range tmpl.resources("AWS::ApiGatewayV2::RouteResponse") {
		if at(r.properties, "ApiId") == "ref:AgentsApi" {
			responses[strings.TrimPrefix(at(r.properties, "RouteId").(string), "ref:")] = id
			if key := at(r.properties, "RouteResponseKey"); key != "$default" {
				t.Errorf("%s has the key %v: there is only $default", id, key)
			}
			if !waitsFor(tmpl, tmpl.resource("AgentsStage"), id) {
				t.Errorf("the stage does not wait for %s, and would be deployed without", id)
			}
		}
	}
	want := append([]string{"$connect", "$default", "$disconnect"}, actions...)
	var got []string
	for id, r := range tmpl.resources("AWS::ApiGatewayV2::Route") {
		if at(r.properties, "ApiId") != "ref:AgentsApi" {
			continue
		}
		key := at(r.properties, "RouteKey").(string)
		got = append(got, key)
		if r := at(r.properties, "Target"); r != "integrations/AgentsIntegration" {
			t.Errorf("%s: target %v", key, r)
		}
		if r := at(r.properties, "AuthorizationType"); r != "NONE" {
			t.Errorf("%s: authorized by %v, and only $connect could be", key, r)
		}
		// Without both, what the function returns is dropped.
		answers := at(r.properties, "RouteResponseSelectionExpression") == "$default" && responses[id] != ""
		if is := slices.Contains(actions, key); is != answers || !is && (responses[id] != "" || at(r.properties, "RouteResponseSelectionExpression") != nil) {
			t.Errorf("%s: its answer is returned: %v, want %v", key, answers, is)
		}
	}
	for _, key := range want {
		if !slices.Contains(got, key) {
			t.Errorf("%s has no route: its answer would be posted, which works and takes longer. Copy EchoRoute and EchoResponse for it", key)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("routes %v, want %v", got, want)
	}
}

// TestWaitersAPI: only callers with IAM's leave connect, API Gateway answers whoami,
// and if it should not be able to, a parameter has the agents function do it.
func TestWaitersAPI(t *testing.T) {
	t.Parallel()
	tmpl := load(t, nil)
	connect := tmpl.resource("WaitersConnectRoute").properties
	if at(connect, "RouteKey") != "$connect" || at(connect, "AuthorizationType") != "AWS_IAM" {
		t.Errorf("$connect: %v", connect)
	}
	if got := at(tmpl.resource("WaitersMock").properties, "IntegrationType"); got != "MOCK" {
		t.Errorf("$connect goes to %v", got)
	}
	if got := at(tmpl.resource("WhoamiRoute").properties, "Target"); got != "integrations/WhoamiMock" {
		t.Errorf("whoami goes to %v", got)
	}
	mock, response := tmpl.resource("WhoamiMock").properties, tmpl.resource("WhoamiMockResponse").properties
	if got := at(mock, "RequestTemplates", at(mock, "TemplateSelectionExpression").(string)); got != `{"statusCode":200}` || at(response, "IntegrationResponseKey") != "/200/" {
		t.Errorf("the mock for whoami makes %v of a request, for the response %v", got, at(response, "IntegrationResponseKey"))
	}
	if got := at(response, "ResponseTemplates", at(response, "TemplateSelectionExpression").(string)); got != `{"connectionId":"$context.connectionId"}` {
		t.Errorf("whoami is answered by %v", got)
	}
	if got := at(tmpl.resource("WhoamiResponse").properties, "RouteResponseKey"); got != "$default" {
		t.Errorf("the route response has the key %v: without $default the answer is dropped", got)
	}
	if got := at(tmpl.resource("WhoamiRoute").properties, "RouteResponseSelectionExpression"); got != "$default" {
		t.Errorf("whoami is answered by %v", got)
	}
	for id, p := range tmpl.resources("AWS::Lambda::Permission") {
		if strings.Contains(fmt.Sprint(p.properties), "WaitersApi") {
			t.Errorf("%s lets the waiters' API call a function", id)
		}
	}

	byLambda := load(t, map[string]string{"WaitersWhoami": "lambda"})
	if got := at(byLambda.resource("WhoamiRoute").properties, "Target"); got != "integrations/WhoamiByAgentsFunction" {
		t.Errorf("whoami goes to %v", got)
	}
}

// TestHTTPAPI: no CORS, which would take OPTIONS requests away from the services, and
// an answer before the gateway's own timeout.
func TestHTTPAPI(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"1.0", "2.0"} {
		tmpl := load(t, map[string]string{"PayloadFormat": format})
		if at(tmpl.resource("HttpApi").properties, "CorsConfiguration") != nil {
			t.Error("the HTTP API answers OPTIONS itself")
		}
		i := tmpl.resource("HttpIntegration").properties
		if at(i, "PayloadFormatVersion") != format || at(i, "TimeoutInMillis") != 30000 {
			t.Errorf("integration %v", i)
		}
		if got := at(tmpl.resource("PublicFunction").properties, "Timeout"); got != 29 {
			t.Errorf("the function may run %v s", got)
		}
		if got := at(tmpl.resource("HttpRoute").properties, "RouteKey"); got != "$default" {
			t.Errorf("route %v", got)
		}
	}
}

// TestDomains: HTTP and WebSocket have names of their own, since API Gateway cannot
// serve both under one, and no mapping key, which would stay in the path.
func TestDomains(t *testing.T) {
	t.Parallel()
	tmpl := load(t, everything())
	got := make(map[string]string)
	for id, m := range tmpl.resources("AWS::ApiGatewayV2::ApiMapping") {
		if at(m.properties, "ApiMappingKey") != nil {
			t.Errorf("%s has a mapping key", id)
		}
		domain := tmpl.resource(strings.TrimPrefix(at(m.properties, "DomainName").(string), "ref:"))
		config := at(domain.properties, "DomainNameConfigurations").([]any)[0]
		got[at(domain.properties, "DomainName").(string)] = fmt.Sprint(at(m.properties, "ApiId"), " ", at(m.properties, "Stage"), " ", at(config, "CertificateArn"))
		if at(config, "SecurityPolicy") != "TLS_1_2" || at(config, "EndpointType") != "REGIONAL" {
			t.Errorf("%s: %v", id, config)
		}
	}
	want := map[string]string{
		"tunnel.example.com":   "ref:HttpApi ref:HttpStage arn:aws:acm:eu-central-1:123456789012:certificate/1",
		"*.tunnel.example.com": "ref:HttpApi ref:HttpStage arn:aws:acm:eu-central-1:123456789012:certificate/1",
		"agents.example.com":   "ref:AgentsApi ref:AgentsStage arn:aws:acm:eu-central-1:123456789012:certificate/2",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("domains\n%v, want\n%v", got, want)
	}
	if n := len(tmpl.resources("AWS::Route53::RecordSetGroup")); n != 3 {
		t.Errorf("%d groups of records, want 3", n)
	}
	for id, g := range tmpl.resources("AWS::Route53::RecordSetGroup") {
		domain := strings.TrimSuffix(id, "Record") + "DomainName"
		r := at(g.properties, "RecordSets").([]any)[0]
		if at(r, "Name") != at(tmpl.resource(domain).properties, "DomainName") || at(r, "AliasTarget", "DNSName") != domain+".RegionalDomainName" {
			t.Errorf("%s: %v", id, r)
		}
	}
	for output, want := range map[string]string{"PublicUrl": "https://tunnel.example.com", "AgentsUrl": "wss://agents.example.com"} {
		if got := tmpl.resolve(at(tmpl.document, "Outputs", output, "Value")); got != want {
			t.Errorf("%s is %v, want %s", output, got, want)
		}
	}

	// One name without the other, and without wildcard DNS.
	only := load(t, map[string]string{"HttpDomain": "t.example.com", "HttpCertificateArn": "arn:aws:acm:eu-central-1:123456789012:certificate/1"})
	if n := len(only.resources("AWS::ApiGatewayV2::DomainName")); n != 1 {
		t.Errorf("%d domains, want 1", n)
	}
	if n := len(load(t, nil).resources("AWS::ApiGatewayV2::DomainName")); n != 0 {
		t.Errorf("%d domains without being asked", n)
	}
}
