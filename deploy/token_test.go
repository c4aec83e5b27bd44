package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"culvert/backend/auth"
)

const secret = "0123456789abcdef0123456789abcdef-newest"

// mint runs deploy/token beside an aws that answers with value.
func mint(t *testing.T, value string, args ...string) (stdout, stderr, calls string, err error) {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\necho \"$@\" >'" + dir + "/calls'\ncat '" + dir + "/value'\n"
	if value == "" {
		script = "#!/bin/sh\necho 'AccessDeniedException: no' >&2\nexit 254\n"
	}
	for name, text := range map[string]string{"aws": script, "value": value} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Not by its first line: a python3 that chooses among several may put its own aws first.
	python, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Fatalf("deploy/token needs Python 3: %v", err)
	}
	cmd := exec.Command(strings.TrimSpace(string(python)), append([]string{"token"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	var out, complaints strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	text, _ := os.ReadFile(filepath.Join(dir, "calls"))
	return out.String(), complaints.String(), string(text), err
}

// TestToken mints with the keys as the keys function writes them, and has the backend's
// own code verify what comes out.
func TestToken(t *testing.T) {
	t.Parallel()
	verifier, err := auth.NewSecretVerifier([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	const keys = `{"generation":2,"tickets":["AAAA","BBBB"],"tokens":["` + secret + `","the one before, which is not used any more"]}` + "\n"
	for _, c := range []struct {
		args []string
		want auth.Identity
	}{
		{[]string{"--sub", "me"}, auth.Identity{Subject: "me"}},
		{[]string{"--sub", "Zoë \"Z\"", "--days", "0"}, auth.Identity{Subject: "Zoë \"Z\""}},
		{[]string{"--sub=me", "--tunnels", "shop,my-blog", "--max", "3", "--days", "1"}, auth.Identity{Subject: "me", Tunnels: []string{"shop", "my-blog"}, Max: 3}},
	} {
		out, complaints, calls, err := mint(t, keys, append(c.args, "--stack", "shop", "--region", "eu-central-1")...)
		if err != nil {
			t.Fatalf("%q: %v\n%s", c.args, err, complaints)
		}
		got, err := verifier.Verify(t.Context(), strings.TrimSpace(out))
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", c.args, err, diff)
		}
		if want := "ssm get-parameter --name /culvert/shop/keys --with-decryption --query Parameter.Value --output text --region eu-central-1\n"; calls != want {
			t.Errorf("calls aws %s", calls)
		}
	}
}

func TestTokenRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value string
		args  []string
		says  string
	}{
		{"x", nil, "--sub"},
		{"x", []string{"--sub", ""}, "--sub"},
		{"x", []string{"--sub", "me", "--tunnels", "No"}, "no tunnel name"},
		{"x", []string{"--sub", "me", "--max", "0"}, "--max"},
		{"x", []string{"--sub", "me", "--days", "-1"}, "--days"},
		{"", []string{"--sub", "me"}, "cannot read the keys of the stack culvert"},
		{"no JSON, and secret", []string{"--sub", "me"}, "is not what this version"},
		{`{"tokens":[]}`, []string{"--sub", "me"}, "is not what this version"},
	} {
		out, complaints, _, err := mint(t, c.value, c.args...)
		if err == nil || out != "" || !strings.Contains(complaints, c.says) || strings.Contains(complaints, "and secret") {
			t.Errorf("%q with %q: %v, prints %q and %q, want %q", c.args, c.value, err, out, complaints, c.says)
		}
	}
}
