package deploy

import (
	"debug/elf"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"culvert/backend/lambda/host"
)

// lambdaSets are the variables that Lambda itself sets, of those that the program reads.
var lambdaSets = map[string]string{
	"AWS_REGION": region, "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "session",
}

// forLocalUse are variables that point the program at stand-ins; in AWS they stay unset.
var forLocalUse = []string{
	"AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_LAMBDA", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_SSM",
}

// leftOut are variables that a function reads and the template cannot set.
var leftOut = map[string][]string{
	// Its own URL: the URL is made of the function.
	"StreamFunction": {"CULVERT_STREAM_URL"},
}

// TestEnvironment starts the program's own reading of its environment with what the
// template sets: nothing may be missing, wrong, or set in vain.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	for name, parameters := range deployments() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tmpl := load(t, parameters)
			for id := range tmpl.resources("AWS::Serverless::Function") {
				t.Run(id, func(t *testing.T) {
					env := environment(tmpl, id)
					read := make(map[string]bool)
					cfg, err := host.FromEnvironment(func(name string) string {
						read[name] = true
						if v, ok := lambdaSets[name]; ok {
							return v
						}
						return asInAWS(env[name])
					})
					if err != nil {
						t.Fatalf("the function would not start: %v", err)
					}
					if want := strings.ToLower(strings.TrimSuffix(id, "Function")); string(cfg.Role) != want {
						t.Errorf("role %s", cfg.Role)
					}
					for name := range env {
						if !read[name] {
							t.Errorf("%s is set, and nothing reads it", name)
						}
					}
					for name := range read {
						_, set := env[name]
						if !set && lambdaSets[name] == "" && !slices.Contains(forLocalUse, name) && !slices.Contains(leftOut[id], name) {
							t.Errorf("%s is read, and not set", name)
						}
					}
				})
			}
		})
	}
}

// asInAWS gives what AWS makes of a function's ARN and of a queue's ARN and reference.
func asInAWS(value string) string {
	kind, id, _ := strings.Cut(value, ":")
	switch {
	case kind == "arn" && strings.HasSuffix(id, "Function"):
		return "arn:aws:lambda:" + region + ":" + account + ":function:" + id
	case kind == "arn" && strings.HasSuffix(id, "Queue"):
		return "arn:aws:sqs:" + region + ":" + account + ":" + id
	case kind == "ref" && strings.HasSuffix(id, "Queue"):
		return "https://sqs." + region + ".amazonaws.com/" + account + "/" + id
	}
	return value
}

// environment gives the variables of a function, those of Globals included.
func environment(tmpl *template, id string) map[string]string {
	tmpl.t.Helper()
	all := make(object)
	global := tmpl.resolve(at(tmpl.document, "Globals", "Function", "Environment", "Variables")).(object)
	maps.Copy(all, global)
	maps.Copy(all, at(tmpl.resource(id).properties, "Environment", "Variables").(object))
	env := make(map[string]string)
	for name, v := range all {
		env[name] = fmt.Sprint(v)
	}
	return env
}

// TestManagementEndpoint is about a fault of old: posts to connections go to https and
// to the API's own name, never to wss nor to the name that agents dial.
func TestManagementEndpoint(t *testing.T) {
	t.Parallel()
	tmpl := load(t, everything())
	for _, id := range []string{"AgentsFunction", "NoticesFunction", "PublicFunction", "StreamFunction"} {
		if got, want := environment(tmpl, id)["CULVERT_AGENTS_API"], "https://AgentsApi.execute-api.eu-central-1.amazonaws.com/live"; got != want {
			t.Errorf("%s: CULVERT_AGENTS_API=%s, want %s", id, got, want)
		}
	}
	for stage, api := range map[string]string{"AgentsStage": "AgentsApi", "WaitersStage": "WaitersApi"} {
		s := tmpl.resource(stage).properties
		if at(s, "StageName") != "live" || at(s, "ApiId") != "ref:"+api {
			t.Errorf("%s is %v", stage, s)
		}
	}
}

// TestURLs: what is handed out follows the domains.
func TestURLs(t *testing.T) {
	t.Parallel()
	plainly, named := environment(load(t, nil), "AgentsFunction"), environment(load(t, everything()), "AgentsFunction")
	for name, want := range map[string][2]string{
		"CULVERT_PUBLIC_URL":     {"https://HttpApi.execute-api.eu-central-1.amazonaws.com", "https://tunnel.example.com"},
		"CULVERT_SUBDOMAIN_URL":  {"", "https://tunnel.example.com"},
		"CULVERT_STREAM_URL":     {"", "https://StreamUrl.lambda-url.eu-central-1.on.aws/"},
		"CULVERT_AGENT_HOSTS":    {"", "agents.example.com"},
		"CULVERT_WAITERS_API_ID": {"", "ref:WaitersApi"},
		"CULVERT_WAITERS_API":    {"https://WaitersApi.execute-api.eu-central-1.amazonaws.com/live", "https://WaitersApi.execute-api.eu-central-1.amazonaws.com/live"},
		"CULVERT_AUTH":           {"jwt", "jwt"},
	} {
		if got := [2]string{plainly[name], named[name]}; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	// What the streaming function cannot be told, it has to do without.
	if u, err := url.Parse(named["CULVERT_STREAM_URL"]); err != nil || u.Scheme != "https" {
		t.Errorf("CULVERT_STREAM_URL: %v, %v", u, err)
	}
}

// TestFunctions: one program on ARM, each function with its own time, and answers never
// behind a cap: waiting requests hold concurrency until their answers get in.
func TestFunctions(t *testing.T) {
	t.Parallel()
	for name, parameters := range deployments() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tmpl := load(t, parameters)
			global := tmpl.resolve(at(tmpl.document, "Globals", "Function")).(object)
			if at(global, "Runtime") != "provided.al2023" || fmt.Sprint(at(global, "Architectures")) != "[arm64]" || at(global, "Handler") != "bootstrap" {
				t.Errorf("functions are %v", global)
			}
			timeouts := map[string]int{
				"KeysFunction": 30, "AgentsFunction": 20, "ProcessorFunction": 10, "NoticesFunction": 30, "PublicFunction": 29, "StreamFunction": 900,
			}
			for id, f := range tmpl.resources("AWS::Serverless::Function") {
				if got := at(f.properties, "Timeout"); got != timeouts[id] {
					t.Errorf("%s may run %v s, want %d", id, got, timeouts[id])
				}
				if at(f.raw, "Metadata", "BuildMethod") != "makefile" {
					t.Errorf("%s is not built by make", id)
				}
				role := strings.TrimSuffix(id, "Function") + "Role"
				if got := at(f.properties, "Role"); got != "arn:"+role {
					t.Errorf("%s runs as %v", id, got)
				}
				if at(f.properties, "LoggingConfig", "LogGroup") != "ref:"+strings.TrimSuffix(id, "Function")+"Logs" {
					t.Errorf("%s logs to %v", id, at(f.properties, "LoggingConfig"))
				}
				reserved := at(f.properties, "ReservedConcurrentExecutions")
				switch {
				case id == "PublicFunction" && parameters != nil:
					if fmt.Sprint(reserved) != "200" || environment(tmpl, id)["CULVERT_RESERVED"] != "true" {
						t.Errorf("%s reserves %v", id, reserved)
					}
				case id == "StreamFunction":
					if fmt.Sprint(reserved) != "5" {
						t.Errorf("%s reserves %v: each open stream holds one", id, reserved)
					}
				case reserved != nil:
					t.Errorf("%s reserves %v", id, reserved)
				}
			}
			if parameters == nil && environment(tmpl, "PublicFunction")["CULVERT_RESERVED"] != "false" {
				t.Error("the visitors' function believes to have concurrency reserved")
			}
		})
	}
}

// TestLambdaLogs: in the JSON format nothing of the program is filtered out, since its
// metrics are log lines; in the text format the levels may not be given at all.
func TestLambdaLogs(t *testing.T) {
	t.Parallel()
	for format, want := range map[string][2]any{"JSON": {"TRACE", "WARN"}, "Text": {nil, nil}} {
		tmpl := load(t, map[string]string{"LambdaLogFormat": format, "Notices": "true", "Streaming": "true"})
		for _, id := range []string{"AgentsFunction", "ProcessorFunction", "NoticesFunction", "PublicFunction", "StreamFunction"} {
			c := at(tmpl.resource(id).properties, "LoggingConfig")
			if got := [2]any{at(c, "ApplicationLogLevel"), at(c, "SystemLogLevel")}; got != want || at(c, "LogFormat") != format {
				t.Errorf("%s in %s: %v", id, format, c)
			}
		}
	}
	for id, g := range load(t, everything()).resources("AWS::Logs::LogGroup") {
		if at(g.properties, "RetentionInDays") == nil {
			t.Errorf("%s keeps logs for ever", id)
		}
	}
}

// TestMaxWaitFits: the longest wait that the parameter allows is one that the program takes.
func TestMaxWaitFits(t *testing.T) {
	t.Parallel()
	for _, wait := range []string{"1s", "28s"} {
		env := environment(load(t, map[string]string{"MaxWait": wait}), "PublicFunction")
		cfg, err := host.FromEnvironment(func(name string) string { return lambdaSets[name] + env[name] })
		if err != nil {
			t.Errorf("MaxWait=%s: %v", wait, err)
		} else if cfg.MaxWait.String() != wait || cfg.MaxWait > 28*time.Second {
			t.Errorf("MaxWait=%s becomes %v", wait, cfg.MaxWait)
		}
	}
}

// TestBuild does what `sam build` does for each function.
func TestBuild(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds a program for another processor")
	}
	for id := range load(t, everything()).resources("AWS::Serverless::Function") {
		t.Run(id, func(t *testing.T) {
			makefile, err := filepath.Abs("Makefile")
			if err != nil {
				t.Fatal(err)
			}
			into := t.TempDir()
			cmd := exec.Command("make", "--makefile", makefile, "build-"+id)
			cmd.Dir = t.TempDir() // sam runs it in a copy of this folder
			cmd.Env = append(os.Environ(), "ARTIFACTS_DIR="+into, "MAKEFLAGS=")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			program, err := elf.Open(filepath.Join(into, "bootstrap"))
			if err != nil {
				t.Fatal(err)
			}
			defer program.Close()
			if program.Machine != elf.EM_AARCH64 {
				t.Errorf("built for %v, and the functions run on arm64", program.Machine)
			}
			if libs, err := program.ImportedLibraries(); err != nil || len(libs) > 0 {
				t.Errorf("needs libraries that Lambda may not have: %v, %v", libs, err)
			}
		})
	}
}

// TestTunnelsAreCapped: who knows a tunnel's URL can make its owner pay for as much as it
// serves, so there is a cap that nobody has to think of. The README calculates with it.
func TestTunnelsAreCapped(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"PublicFunction", "StreamFunction"} {
		tmpl := load(t, map[string]string{"Streaming": "true", "AccountConcurrency": "1000"})
		if got := environment(tmpl, id)["CULVERT_TUNNEL_RPM"]; got != "3000" {
			t.Errorf("%s: a tunnel may serve %q in a minute", id, got)
		}
	}
}
