package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// world is a copy of what deploy/deploy needs, with stand-ins for aws and sam in PATH
// that answer from files and write down how they were called.
type world struct {
	t      *testing.T
	dir    string            // of the copy
	path   string            // PATH
	env    []string          // further variables
	answer map[string]string // what aws says, by the words of the call that tell it apart
	fails  map[string]string // what it complains of instead
	sam    string            // what sam does, in shell
}

// An account as most are, with nothing deployed.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	w.answer = map[string]string{
		"--version":                           "aws-cli/2.27.41 Python/3.13.4 Linux/6.8.0 exe/x86_64.ubuntu.24",
		"sts get-caller-identity":             "123456789012\tarn:aws:iam::123456789012:user/me",
		"lambda get-account-settings":         "1000\t1000",
		"apigateway get-account":              "None",
		"cloudformation describe-stack-event": "HttpStage\tToo bad",
		"Stacks[0].Outputs":                   "AgentsUrl\twss://example/live\tWhat agents connect to\nPublicUrl\thttps://example\tBase of the public URLs",
	}
	w.fails = map[string]string{
		"describe-stacks --stack-name culvert --query Stacks[0].StackStatus": "An error occurred (ValidationError): Stack with id culvert does not exist",
	}
	for _, name := range []string{"deploy/deploy", "deploy/template.yaml", ".ci/setup", "go.mod"} {
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		w.write(name, string(text))
	}
	w.path = filepath.Join(w.dir, "bin") + ":" + os.Getenv("PATH")
	return w
}

func (w *world) write(name, text string) {
	w.t.Helper()
	name = filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
		w.t.Fatal(err)
	}
}

// deployed has the stack be there, in a state and with parameters.
func (w *world) deployed(state, parameters string) {
	clear(w.fails)
	w.answer["Stacks[0].StackStatus"] = state
	w.answer["Stacks[0].Parameters"] = parameters
}

// run runs deploy/deploy and gives what it printed on both outputs and its status.
func (w *world) run(args ...string) (string, int) {
	w.t.Helper()
	w.write("bin/aws", aws(w.fails, w.answer))
	w.write("bin/sam", "#!/usr/bin/env bash\nprintf 'sam %s\\n' \"$*\" >>\"$(dirname \"$0\")/../calls\"\n"+w.sam+"\n")
	_ = os.Remove(filepath.Join(w.dir, "calls"))

	cmd := exec.Command("bash", append([]string{filepath.Join(w.dir, "deploy", "deploy")}, args...)...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "AWS_") || strings.HasPrefix(v, "SAM_")
	}), "PATH="+w.path)
	cmd.Env = append(cmd.Env, w.env...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		w.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// aws is a stand-in for the AWS CLI, to lie in the folder bin. It tells calls apart by
// words in them, and writes all of them down beside bin.
func aws(fails, answer map[string]string) string {
	var b strings.Builder
	b.WriteString("#!/usr/bin/env bash\nprintf 'aws %s\\n' \"$*\" >>\"$(dirname \"$0\")/../calls\"\ncase \"$*\" in\n")
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	for call, complaint := range fails {
		b.WriteString("*" + quote(call) + "*) echo " + quote(complaint) + " >&2; exit 254 ;;\n")
	}
	for call, answer := range answer {
		b.WriteString("*" + quote(call) + "*) printf '%s\\n' " + quote(answer) + " ;;\n")
	}
	b.WriteString("*) exit 1 ;;\nesac\n")
	return b.String()
}

func (w *world) calls() string {
	text, _ := os.ReadFile(filepath.Join(w.dir, "calls"))
	return string(text)
}

// overrides gives the parameters that sam was to deploy with.
func (w *world) overrides() []string {
	m := regexp.MustCompile(`(?m)^sam deploy .*--parameter-overrides ((?:[A-Za-z]+=\S*\s?)+)`).FindStringSubmatch(w.calls())
	if m == nil {
		return nil
	}
	found := strings.Fields(m[1])
	slices.Sort(found)
	return found
}

func TestDeployForTheFirstTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	out, status := w.run("--region", "eu-central-1", "--yes")
	if status != 0 {
		t.Fatalf("status %d:\n%s", status, out)
	}
	for _, want := range []string{"stack culvert (new) in eu-central-1, account 123456789012", "1000 functions at once", "wss://example/live", "deploy/FIRST_DEPLOY.md"} {
		if !strings.Contains(out, want) {
			t.Errorf("does not say %q:\n%s", want, out)
		}
	}
	if got, want := w.overrides(), []string{"AccountConcurrency=1000", `ApiGatewayLogRoleArn=""`}; !slices.Equal(got, want) {
		t.Errorf("deploys with %q, want %q", got, want)
	}
	calls := w.calls()
	build, deploy := strings.Index(calls, "sam build "), strings.Index(calls, "sam deploy ")
	if build < 0 || deploy < build {
		t.Errorf("does not build, then deploy:\n%s", calls)
	}
	for _, want := range []string{"--stack-name culvert", "--capabilities CAPABILITY_IAM", "--no-confirm-changeset", "--resolve-s3", "--region eu-central-1"} {
		if !strings.Contains(calls[deploy:], want) {
			t.Errorf("sam deploy without %s:\n%s", want, calls)
		}
	}
	if strings.Contains(calls, "ssm") || strings.Contains(calls, "--with-decryption") {
		t.Errorf("it reads keys:\n%s", calls)
	}
}

func TestDeployWantsVersion2OfTheAWSCLI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.answer["--version"] = "aws-cli/1.32.1 Python/3.11.2 Linux/6.1.0 botocore/1.34.1"
	out, status := w.run("--region", "eu-central-1", "--yes")
	if status != 1 || !strings.Contains(out, "version 1 of the AWS CLI (aws-cli/1.32.1)") || !strings.Contains(out, "https://docs.aws.amazon.com/cli/") {
		t.Errorf("status %d:\n%s", status, out)
	}
	if calls := w.calls(); calls != "aws --version\n" {
		t.Errorf("it goes on:\n%s", calls)
	}
}

func TestDeployAsksOrSaysThatItCannot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	out, status := w.run("--region", "eu-central-1") // no terminal here
	if status != 2 || !strings.Contains(out, "--yes") || strings.Contains(w.calls(), "sam") {
		t.Errorf("status %d:\n%s\n%s", status, out, w.calls())
	}
	out, status = w.run("--region", "eu-central-1", "--dry-run")
	if status != 0 || !strings.Contains(w.calls(), "--no-execute-changeset") || strings.Contains(out, "wss://") {
		t.Errorf("--dry-run: status %d:\n%s\n%s", status, out, w.calls())
	}
}

func TestDeployUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"--help"}, 0, "usage: deploy/deploy"},
		{[]string{"-h"}, 0, "exit status"},
		{[]string{"--wat"}, 2, "unknown flag --wat"},
		{[]string{"--stack"}, 2, "--stack needs a value"},
		{[]string{"--stack", "no_underscores"}, 2, "stack name"},
		{[]string{"--stack", strings.Repeat("x", 41)}, 2, "stack name"},
		{[]string{"what"}, 2, "neither a flag nor PARAMETER=VALUE"},
		{[]string{"HttpDomian=x"}, 2, `no parameter "HttpDomian"`},
		{[]string{"AlarmEmail=a b"}, 2, "may not hold spaces"},
		{[]string{"--yes"}, 2, "no region"},
		{[]string{"--yes", "--region", "eu-central-1", "HttpCertificateArn=arn:aws:acm:us-east-1:123456789012:certificate/1"}, 1, "has to be in eu-central-1"},
	} {
		w := newWorld(t)
		out, status := w.run(c.args...)
		if status != c.status || !strings.Contains(out, c.says) {
			t.Errorf("%q: status %d, want %d and %q:\n%s", c.args, status, c.status, c.says, out)
		}
		if strings.Contains(w.calls(), "sam ") {
			t.Errorf("%q: goes on:\n%s", c.args, w.calls())
		}
	}
}

func TestDeployNeedsItsTools(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// A PATH with everything a shell script takes for granted, and nothing else.
	only := filepath.Join(t.TempDir(), "bin")
	if err := os.Mkdir(only, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bash", "env", "awk", "sed", "grep", "head", "cat", "xargs", "echo", "printf", "dirname"} {
		full, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(full, filepath.Join(only, name)); err != nil {
			t.Fatal(err)
		}
	}
	w.path = only
	out, status := w.run("--region", "eu-central-1", "--yes")
	if status != 1 || !strings.Contains(out, "not in PATH: aws sam go make") || !strings.Contains(out, "install-sam-cli") {
		t.Errorf("status %d:\n%s", status, out)
	}
}

func TestDeployNeedsCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fails["sts get-caller-identity"] = "Unable to locate credentials. You can configure credentials by running \"aws configure\"."
	out, status := w.run("--region", "eu-central-1", "--yes")
	if status != 1 || !strings.Contains(out, "Unable to locate credentials") || !strings.Contains(out, "aws configure sso") || strings.Contains(w.calls(), "sam ") {
		t.Errorf("status %d:\n%s", status, out)
	}
}

func TestDeployNeedsTheNetwork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fails["sts get-caller-identity"] = "Could not connect to the endpoint URL: \"https://sts.europe.amazonaws.com/\""
	out, status := w.run("--region", "europe", "--yes")
	if status != 1 || !strings.Contains(out, "cannot reach AWS in europe") || strings.Contains(out, "credentials") {
		t.Errorf("status %d:\n%s", status, out)
	}
}

// TestDeployFindsItsSettings: what is given, then samconfig.toml, and where the region
// comes from.
func TestDeployFindsItsSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fails["describe-stacks --stack-name tunnels --query Stacks[0].StackStatus"] = "Stack with id tunnels does not exist"
	w.write("deploy/samconfig.toml", `version = 0.1
[default.global.parameters]
stack_name = "tunnels"
region = "ap-south-1"   # near
profile = "mine"
[default.deploy.parameters]
# parameter_overrides = ["HttpRate=1"]
s3_bucket = "artifacts"
parameter_overrides = [
  "AlarmEmail=me+aws@example.com", "HttpRate=20", # "HttpBurst=1",
  # "MaxTunnels=3",
  "LogLevel=debug",
]
tags = "a=b"
`)
	out, status := w.run("--yes", "HttpRate=30", "AccountConcurrency=7")
	if status != 0 {
		t.Fatalf("status %d:\n%s", status, out)
	}
	want := []string{"AccountConcurrency=7", "AlarmEmail=me+aws@example.com", `ApiGatewayLogRoleArn=""`, "HttpRate=20", "HttpRate=30", "LogLevel=debug"}
	if got := w.overrides(); !slices.Equal(got, want) {
		t.Errorf("deploys with %q, want %q", got, want)
	}
	calls := w.calls()
	if strings.Index(calls, "HttpRate=20") > strings.Index(calls, "HttpRate=30") {
		t.Errorf("the file goes before the command line:\n%s", calls)
	}
	for _, c := range []string{"--stack-name tunnels", "--region ap-south-1", "--profile mine", "--config-file "} {
		if !strings.Contains(calls, c) {
			t.Errorf("without %s:\n%s", c, calls)
		}
	}
	if strings.Contains(calls, "--resolve-s3") {
		t.Errorf("two buckets for the uploads:\n%s", calls)
	}

	w.write("deploy/samconfig.toml", "parameter_overrides = \"HttpRate=20 HttpBurst=3\"\n")
	if out, status := w.run("--yes", "--region", "eu-central-1"); status != 2 || !strings.Contains(out, "has to be a list") {
		t.Errorf("status %d:\n%s", status, out)
	}

	e := newWorld(t)
	e.env = []string{"AWS_REGION=us-west-2"}
	if out, status := e.run("--yes"); status != 0 || !strings.Contains(e.calls(), "--region us-west-2") {
		t.Errorf("status %d:\n%s", status, out)
	}
	c := newWorld(t)
	c.answer["configure get region"] = "sa-east-1"
	if out, status := c.run("--yes"); status != 0 || !strings.Contains(c.calls(), "--region sa-east-1") {
		t.Errorf("status %d:\n%s", status, out)
	}
}

// TestDeployExample: the example file is one that the script reads, with every line in it.
func TestDeployExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("samconfig.toml.example")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.answer["describe-stacks"] = ""
	all := regexp.MustCompile(`(?m)^  # "`).ReplaceAllString(string(text), `  "`)
	w.write("deploy/samconfig.toml", strings.ReplaceAll(all, "…", "1")+"\n# region\n")
	out, status := w.run("--yes", "--region", "eu-central-1")
	if status != 0 {
		t.Fatalf("status %d:\n%s", status, out)
	}
	if got := w.overrides(); len(got) < 12 || !slices.Contains(got, "HostedZoneId=Z1") {
		t.Errorf("deploys with %q", got)
	}
	w.write("deploy/samconfig.toml", string(text))
	if out, status := w.run("--yes", "--region", "eu-central-1"); status != 0 {
		t.Errorf("as it is: status %d:\n%s", status, out)
	}
}

// TestDeployAndConcurrency: what Lambda would refuse in the middle is refused before
// anything is built, with what to do.
func TestDeployAndConcurrency(t *testing.T) {
	t.Parallel()
	const more = "aws service-quotas request-service-quota-increase --region eu-central-1 --service-code lambda --quota-code L-B99A9384"
	for _, c := range []struct {
		name     string
		limits   string
		deployed string
		args     []string
		status   int
		says     string
		silent   string
	}{
		{"plenty", "1000\t1000", "", nil, 0, "1000 functions at once", more},
		{"a new account", "10\t10", "", nil, 0, "Requests will wait 5 s at most", ""},
		{"a new account is told what to request", "10\t10", "", nil, 0, more, ""},
		{"some", "400\t400", "", nil, 0, more, "5 s at most"},
		{"reserving what is not there", "10\t10", "", []string{"PublicConcurrency=5"}, 1, "would reserve 5 of 10", ""},
		{"streams in a new account", "10\t10", "", []string{"Streaming=true"}, 1, "would reserve 5 of 10", ""},
		{"one too many", "1000\t150", "", []string{"PublicConcurrency=51"}, 1, "this leaves 99", ""},
		{"just enough", "1000\t150", "", []string{"PublicConcurrency=50"}, 0, "not reserved", "would reserve"},
		{"what it holds already is its own", "1000\t100", "PublicConcurrency\t50\nStreaming\tfalse\nStreamConcurrency\t5", nil, 0, "UPDATE_COMPLETE", "would reserve"},
		{"more than it holds", "1000\t100", "PublicConcurrency\t50\nStreaming\tfalse\nStreamConcurrency\t5", []string{"Streaming=true"}, 1, "would reserve 55 of 1000", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.answer["lambda get-account-settings"] = c.limits
			if c.deployed != "" {
				w.deployed("UPDATE_COMPLETE", c.deployed)
			}
			out, status := w.run(append([]string{"--yes", "--region", "eu-central-1"}, c.args...)...)
			if status != c.status || !strings.Contains(out, c.says) || c.silent != "" && strings.Contains(out, c.silent) {
				t.Errorf("status %d, want %d, with %q and without %q:\n%s", status, c.status, c.says, c.silent, out)
			}
			if c.status != 0 && strings.Contains(w.calls(), "sam ") {
				t.Errorf("goes on:\n%s", w.calls())
			}
		})
	}

	w := newWorld(t)
	w.fails["lambda get-account-settings"] = "AccessDenied"
	if out, status := w.run("--yes", "--region", "eu-central-1"); status != 0 || !strings.Contains(out, "cannot read the account's limit") ||
		slices.ContainsFunc(w.overrides(), func(s string) bool { return strings.HasPrefix(s, "AccountConcurrency") }) {
		t.Errorf("without leave to look: status %d:\n%s\n%s", status, out, w.calls())
	}
}

// TestDeployKeepsTheLogRole: API Gateway's one logging role of the account is not
// taken from whoever set it.
func TestDeployKeepsTheLogRole(t *testing.T) {
	t.Parallel()
	const theirs, ours = "arn:aws:iam::123456789012:role/theirs", "arn:aws:iam::123456789012:role/culvert-ApiGatewayRole-1"
	for _, c := range []struct {
		name, set, own string
		want           string
	}{
		{"none", "None", "", `ApiGatewayLogRoleArn=""`},
		{"another's", theirs, "", "ApiGatewayLogRoleArn=" + theirs},
		{"our own, of the last deployment", ours, "culvert-ApiGatewayRole-1", `ApiGatewayLogRoleArn=""`},
		{"another's, after ours", theirs, "culvert-ApiGatewayRole-1", "ApiGatewayLogRoleArn=" + theirs},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.own != "" {
				w.deployed("UPDATE_COMPLETE", "HttpRate\t50")
				w.answer["StackResourceDetail.PhysicalResourceId"] = c.own
			}
			w.answer["apigateway get-account"] = c.set
			if out, status := w.run("--yes", "--region", "eu-central-1"); status != 0 || !slices.Contains(w.overrides(), c.want) {
				t.Errorf("status %d, deploys with %q, want %s:\n%s", status, w.overrides(), c.want, out)
			}
		})
	}
}

// TestDeployLooksAtTheStack: a stack that cannot be deployed to says so before the
// build, and how to get out of it.
func TestDeployLooksAtTheStack(t *testing.T) {
	t.Parallel()
	for state, says := range map[string]string{
		"ROLLBACK_COMPLETE":        "sam delete --stack-name culvert",
		"DELETE_FAILED":            "sam delete --stack-name culvert",
		"UPDATE_IN_PROGRESS":       "is being changed right now",
		"UPDATE_ROLLBACK_FAILED":   "continue-update-rollback",
		"CREATE_COMPLETE":          "",
		"UPDATE_ROLLBACK_COMPLETE": "",
		"REVIEW_IN_PROGRESS":       "",
	} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.deployed(state, "HttpRate\t50")
			out, status := w.run("--yes", "--region", "eu-central-1")
			if (says != "") != (status == 1) || !strings.Contains(out, says) || (status == 1) == strings.Contains(w.calls(), "sam ") {
				t.Errorf("status %d, want %q:\n%s", status, says, out)
			}
		})
	}
	w := newWorld(t)
	clear(w.fails)
	w.fails["Stacks[0].StackStatus"] = "AccessDenied: not yours"
	if out, status := w.run("--yes", "--region", "eu-central-1"); status != 1 || !strings.Contains(out, "not yours") {
		t.Errorf("status %d:\n%s", status, out)
	}
}

func TestDeployTellsWhatFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sam = `[[ $1 != deploy ]]`
	out, status := w.run("--yes", "--region", "eu-central-1")
	if status != 1 || !strings.Contains(out, "HttpStage\tToo bad") || !strings.Contains(out, "deploy/README.md") {
		t.Errorf("status %d:\n%s", status, out)
	}
	w.sam = `[[ $1 != build ]]`
	out, status = w.run("--yes", "--region", "eu-central-1")
	if status != 1 || !strings.Contains(out, "the build failed") || strings.Contains(w.calls(), "sam deploy") {
		t.Errorf("status %d:\n%s", status, out)
	}
}
