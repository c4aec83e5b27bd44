package deploy

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"culvert/backend/auth"
	"culvert/backend/lambda/store"
)

const secret = "0123456789abcdef0123456789abcdef-newest"

const keysParameter = `{"generation":2,"tickets":["AAAA","BBBB"],"tokens":["` + secret + `","the one before, which is not used any more"]}`

// cli is deploy/token beside an aws that answers, or complains, as it is told.
type cli struct {
	dir           string
	fails, answer map[string]string
	stdin         string
}

// A stack with two connections of the user ann.
func newCLI(t *testing.T) *cli {
	t.Helper()
	return &cli{dir: t.TempDir(), fails: map[string]string{}, answer: map[string]string{
		"ssm get-parameter": keysParameter,
		"Stacks[0].Outputs": `[{"OutputKey":"PublicUrl","OutputValue":"https://x"},{"OutputKey":"ConnectionsTableName","OutputValue":"shop-connections"},` +
			`{"OutputKey":"UsersTableName","OutputValue":"shop-users"},{"OutputKey":"ManagementUrl","OutputValue":"https://api.example/live"}]`,
		"dynamodb put-item":          "",
		"dynamodb query":             `{"Items":[{"connection":{"S":"-c1="}},{"connection":{"S":"c2="}}],"Count":2}`,
		"--connection-id=-c1= --reg": "",
		"--connection-id=c2= --reg":  "",
	}}
}

// run gives both outputs and what aws was called with.
func (c *cli) run(t *testing.T, args ...string) (stdout, stderr string, calls []string, err error) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(c.dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "bin", "aws"), []byte(aws(c.fails, c.answer)), 0o755); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(c.dir, "calls"))
	// Not by its first line: a python3 that chooses among several may put its own aws first.
	python, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Fatalf("deploy/token needs Python 3: %v", err)
	}
	cmd := exec.Command(strings.TrimSpace(string(python)), append([]string{"token"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(c.dir, "bin")+":"+os.Getenv("PATH"))
	var out, complaints strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(c.stdin), &out, &complaints
	err = cmd.Run()
	text, _ := os.ReadFile(filepath.Join(c.dir, "calls"))
	if len(text) > 0 {
		calls = strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	}
	return out.String(), complaints.String(), calls, err
}

// file puts a text into a file and gives its name.
func (c *cli) file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(c.dir, "token")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestToken mints with the keys as the keys function writes them, and has the backend's
// own code verify what comes out.
func TestToken(t *testing.T) {
	t.Parallel()
	anyone, err := auth.New(auth.Config{Secrets: [][]byte{[]byte(secret)}})
	if err != nil {
		t.Fatal(err)
	}
	picky, err := auth.New(auth.Config{Secrets: [][]byte{[]byte(secret)}, Audience: "culvert", Issuer: "https://id.example.com/"})
	if err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]bool)
	for _, c := range []struct {
		args     []string
		verifier *auth.Verifier
		want     auth.Identity
		days     int
	}{
		{[]string{"--sub", "me"}, anyone, auth.Identity{Subject: "me"}, 90},
		{[]string{"--sub", "me"}, anyone, auth.Identity{Subject: "me"}, 90},
		{[]string{"--sub", "Zoë \"Z\"", "--days", "0"}, anyone, auth.Identity{Subject: "Zoë \"Z\""}, 0},
		{[]string{"--sub=me", "--tunnels", "shop,my-blog", "--max", "3", "--days", "1"}, anyone, auth.Identity{Subject: "me", Tunnels: []string{"shop", "my-blog"}, Max: 3}, 1},
		{[]string{"--sub", "me", "--notify", "--days", "2", "--aud", "culvert", "--iss", "https://id.example.com/"}, picky, auth.Identity{Subject: "me", Notify: true}, 2},
	} {
		out, complaints, calls, err := newCLI(t).run(t, append(c.args, "--stack", "shop", "--region", "eu-central-1")...)
		if err != nil {
			t.Fatalf("%q: %v\n%s", c.args, err, complaints)
		}
		got, err := c.verifier.Verify(t.Context(), strings.TrimSpace(out))
		if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(auth.Identity{}, "ID", "IssuedAt", "Expires")); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", c.args, err, diff)
		}
		if age := time.Since(got.IssuedAt); age < 0 || age > time.Minute {
			t.Errorf("%q: issued %v ago", c.args, age)
		}
		if c.days == 0 != got.Expires.IsZero() || c.days > 0 && got.Expires.Sub(got.IssuedAt) != time.Duration(c.days)*24*time.Hour {
			t.Errorf("%q: expires %v", c.args, got.Expires)
		}
		if got.ID == "" || ids[got.ID] || !strings.Contains(complaints, "--id "+got.ID) {
			t.Errorf("%q: its ID is %q, and it says %s", c.args, got.ID, complaints)
		}
		ids[got.ID] = true
		if want := "aws ssm get-parameter --name /culvert/shop/keys --with-decryption --query Parameter.Value --output text --region eu-central-1"; !slices.Equal(calls, []string{want}) {
			t.Errorf("calls %q", calls)
		}
	}
}

func TestTokenRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		keys string
		args []string
		says string
	}{
		{"x", nil, "--sub"},
		{"x", []string{"--sub", ""}, "--sub"},
		{"x", []string{"--sub", "a\x1bb"}, "--sub"},
		{"x", []string{"--sub", strings.Repeat("é", 129)}, "--sub"},
		{"x", []string{"--sub", "key:abc"}, "do not begin with key:"},
		{"x", []string{"--sub", "me", "--tunnels", "No"}, "no tunnel name"},
		{"x", []string{"--sub", "me", "--max", "0"}, "--max"},
		{"x", []string{"--sub", "me", "--days", "-1"}, "--days"},
		{"x", []string{"--sub", "me", "--aud", ""}, "--aud"},
		{"x", []string{"--sub", "me", "--iss", "a\nb"}, "--iss"},
		{"", []string{"--sub", "me"}, "cannot read the keys of the stack culvert"},
		{"no JSON, and secret", []string{"--sub", "me"}, "is not what this version"},
		{`{"tokens":[]}`, []string{"--sub", "me"}, "is not what this version"},
	} {
		cli := newCLI(t)
		cli.answer["ssm get-parameter"] = c.keys
		if c.keys == "" {
			cli.fails["ssm get-parameter"] = "AccessDeniedException: no"
		}
		out, complaints, _, err := cli.run(t, c.args...)
		if err == nil || out != "" || !strings.Contains(complaints, c.says) || strings.Contains(complaints, "and secret") || strings.Contains(complaints, "Traceback") {
			t.Errorf("%q with %q: %v, prints %q and %q, want %q", c.args, c.keys, err, out, complaints, c.says)
		}
	}
}

// putItem finds what was put into the table of connections.
func putItem(t *testing.T, calls []string) map[string]map[string]string {
	t.Helper()
	for _, c := range calls {
		if rest, ok := strings.CutPrefix(c, "aws dynamodb put-item --table-name shop-connections --item "); ok {
			text, _, _ := strings.Cut(rest, " --region eu-central-1")
			var item map[string]map[string]string
			if err := json.Unmarshal([]byte(text), &item); err != nil {
				t.Fatalf("%s: %v", c, err)
			}
			return item
		}
	}
	t.Fatalf("nothing was put: %q", calls)
	return nil
}

// table is a DynamoDB with one item in one table.
type table struct {
	store.DynamoDB
	item map[string]types.AttributeValue
}

func (f table) BatchGetItem(_ context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]map[string]types.AttributeValue{}}
	for _, key := range in.RequestItems["shop-connections"].Keys {
		if cmp.Equal(key["id"], f.item["id"], cmpopts.IgnoreUnexported(types.AttributeValueMemberS{})) {
			out.Responses["shop-connections"] = append(out.Responses["shop-connections"], f.item)
		}
	}
	return out, nil
}

// revoked says whether the backend refuses a token for the item that was put.
func revoked(t *testing.T, item map[string]map[string]string, who auth.Identity) bool {
	t.Helper()
	f := table{item: make(map[string]types.AttributeValue)}
	for name, value := range item {
		if s, ok := value["S"]; ok {
			f.item[name] = &types.AttributeValueMemberS{Value: s}
		} else {
			f.item[name] = &types.AttributeValueMemberN{Value: value["N"]}
		}
	}
	s, err := store.New(store.Config{Client: f, Names: store.Names{Connections: "shop-connections", Users: "shop-users"}})
	if err != nil {
		t.Fatal(err)
	}
	is, err := s.Revoked(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	return is
}

// deleted are the connections that were ended.
func deleted(calls []string) []string {
	var all []string
	for _, c := range calls {
		if rest, ok := strings.CutPrefix(c, "aws apigatewaymanagementapi delete-connection --endpoint-url https://api.example/live --connection-id="); ok {
			id, _, _ := strings.Cut(rest, " ")
			all = append(all, id)
		}
	}
	slices.Sort(all) // several are ended at once
	return all
}

// TestRevokeUser: nothing of the user's counts that was issued until now, and what is
// connected is cut off, since revocations are looked at only when somebody connects.
func TestRevokeUser(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"ann", `O'Brien "O" ü`, "file:///etc/passwd"} {
		before := time.Now().UnixMilli()
		out, complaints, calls, err := newCLI(t).run(t, "revoke", "--user", user, "--stack", "shop", "--region", "eu-central-1")
		if err != nil {
			t.Fatalf("%v\n%s", err, complaints)
		}
		item := putItem(t, calls)
		var at int64
		if _, err := fmt.Sscan(item["before"]["N"], &at); err != nil || at < before || at > time.Now().UnixMilli() {
			t.Errorf("revoked before %q: %v", item["before"], err)
		}
		if len(item) != 2 {
			t.Errorf("puts %v", item)
		}
		for who, want := range map[*auth.Identity]bool{
			{Subject: user, IssuedAt: time.Now().Add(-time.Minute)}: true,
			{Subject: user}: true,
			{Subject: user, IssuedAt: time.Now().Add(time.Second)}:   false,
			{Subject: "bob", IssuedAt: time.Now().Add(-time.Minute)}: false,
		} {
			if got := revoked(t, item, *who); got != want {
				t.Errorf("%+v is refused: %v", who, got)
			}
		}
		const query = "aws dynamodb query --table-name shop-users --consistent-read --output json --key-condition-expression #id = :user"
		i := slices.IndexFunc(calls, func(c string) bool { return strings.HasPrefix(c, query) })
		if name, _ := json.Marshal(auth.OwnerOf(user)); i < 2 || !strings.Contains(calls[i], `{":user": {"S": `+strings.ReplaceAll(string(name), "ü", `\u00fc`)+`}}`) {
			t.Errorf("looks for connections by %q", calls)
		}
		if got := deleted(calls); !slices.Equal(got, []string{"-c1=", "c2="}) {
			t.Errorf("ends %q", got)
		}
		if !strings.Contains(out, "revoked: all tokens of "+user+" ") || !strings.Contains(out, "ended: 2 of 2 connections") {
			t.Errorf("says %s", out)
		}
	}
}

// TestRevokeID: the user is not known, so nothing is cut off.
func TestRevokeID(t *testing.T) {
	t.Parallel()
	out, complaints, calls, err := newCLI(t).run(t, "revoke", "--id", "t1", "--stack", "shop", "--region", "eu-central-1", "--profile", "p")
	if err != nil {
		t.Fatalf("%v\n%s", err, complaints)
	}
	if diff := cmp.Diff(map[string]map[string]string{"id": {"S": "revoked#id#t1"}}, putItem(t, calls)); diff != "" {
		t.Error(diff)
	}
	if len(calls) != 2 || !strings.Contains(out, "two hours") {
		t.Errorf("calls %q and says %s", calls, out)
	}
	for _, c := range calls {
		if !strings.HasSuffix(c, " --region eu-central-1 --profile p") {
			t.Errorf("calls %s", c)
		}
	}
}

// TestRevokeTokenFile revokes what deploy/token has minted. The token itself is shown to
// nobody: until the backend knows, it is good.
func TestRevokeTokenFile(t *testing.T) {
	t.Parallel()
	for _, stdin := range []bool{false, true} {
		c := newCLI(t)
		token, complaints, _, err := c.run(t, "--sub", "ann", "--stack", "shop", "--region", "eu-central-1")
		if err != nil {
			t.Fatalf("%v\n%s", err, complaints)
		}
		verifier, err := auth.NewSecretVerifier([]byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		who, err := verifier.Verify(t.Context(), strings.TrimSpace(token))
		if err != nil {
			t.Fatal(err)
		}
		file := c.file(t, token)
		if stdin {
			file, c.stdin = "-", token
		}
		out, complaints, calls, err := c.run(t, "revoke", "--token-file", file, "--stack", "shop", "--region", "eu-central-1")
		if err != nil {
			t.Fatalf("%v\n%s", err, complaints)
		}
		want := map[string]map[string]string{"id": {"S": "revoked#id#" + who.ID}, "ttl": {"N": fmt.Sprint(who.Expires.Add(24 * time.Hour).Unix())}}
		if diff := cmp.Diff(want, putItem(t, calls)); diff != "" {
			t.Error(diff)
		}
		if other := (auth.Identity{Subject: "ann", ID: "another"}); !revoked(t, want, who) || revoked(t, want, other) {
			t.Error("the backend does not refuse this token, or refuses another")
		}
		if got := deleted(calls); !slices.Equal(got, []string{"-c1=", "c2="}) {
			t.Errorf("ends %q", got)
		}
		signature := token[strings.LastIndex(token, ".")+1:]
		if strings.Contains(strings.Join(calls, "\n")+out+complaints, strings.TrimSpace(signature)) {
			t.Errorf("shows the token: %q, %s%s", calls, out, complaints)
		}
		if slices.ContainsFunc(calls, func(c string) bool { return strings.Contains(c, "ssm") }) {
			t.Errorf("reads the keys to revoke: %q", calls)
		}
	}
}

// TestRevokeComplains: what was not done is said, and what to do; and nothing is taken
// for done that is not.
func TestRevokeComplains(t *testing.T) {
	t.Parallel()
	b64 := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	part := func(claims string) string { return "x." + b64(claims) + ".hush-hush" }
	for _, c := range []struct {
		name  string
		token string
		args  []string // none: --token-file with token
		fails map[string]string
		puts  bool
		says  string
	}{
		{"nothing to revoke", "", []string{"revoke"}, nil, false, "one of the arguments --user --id --token-file is required"},
		{"two things", "", []string{"revoke", "--user", "a", "--id", "b"}, nil, false, "not allowed with"},
		{"no user", "", []string{"revoke", "--user", ""}, nil, false, "--user"},
		{"no file", "", []string{"revoke", "--token-file", "/nowhere"}, nil, false, "cannot read /nowhere"},
		{"no token", "hush-hush", nil, nil, false, "is no token"},
		{"no JSON", "x." + b64("hush-hush") + ".x", nil, nil, false, "is no token"},
		{"four parts", part(`{"sub":"ann","jti":"1"}`) + ".x", nil, nil, false, "is no token"},
		{"no object", part(`["hush-hush"]`), nil, nil, false, "is no token"},
		{"no user in it", part(`{"jti":"1"}`), nil, nil, false, "is no token"},
		{"a user that cannot be shown", part(`{"sub":"\u001b[2J","jti":"1"}`), nil, nil, false, "is no token"},
		{"a strange expiry", part(`{"sub":"ann","jti":"1","exp":"soon"}`), nil, nil, false, "is no token"},
		{"no ID", part(`{"sub":"ann"}`), nil, nil, false, `deploy/token revoke --user "ann"`},
		{"not deployed", "", []string{"revoke", "--id", "1"}, map[string]string{"describe-stacks": "Stack with id culvert does not exist"}, false, "cannot look at the stack culvert"},
		{"not allowed", "", []string{"revoke", "--user", "ann"}, map[string]string{"put-item": "AccessDenied"}, false, "nothing was revoked"},
		{"may not list", "", []string{"revoke", "--user", "ann"}, map[string]string{"dynamodb query": "AccessDenied"}, true, "two hours at most"},
		{"may not end", "", []string{"revoke", "--user", "ann"}, map[string]string{"--connection-id=c2=": "AccessDenied"}, true, "AccessDenied"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cli := newCLI(t)
			maps.Copy(cli.fails, c.fails)
			args := c.args
			if args == nil {
				args = []string{"revoke", "--token-file", cli.file(t, c.token)}
			}
			out, complaints, calls, err := cli.run(t, append(args, "--region", "eu-central-1")...)
			if err == nil || !strings.Contains(complaints, c.says) || strings.Contains(complaints, "Traceback") || strings.Contains(complaints, "hush-hush") {
				t.Errorf("%v, says %s\nwant %s", err, complaints, c.says)
			}
			if strings.Contains(out, "revoked:") != c.puts {
				t.Errorf("claims: %s\n%q", out, calls)
			}
		})
	}

	old := newCLI(t)
	old.answer["Stacks[0].Outputs"] = `[{"OutputKey":"PublicUrl","OutputValue":"https://x"}]`
	if _, complaints, calls, err := old.run(t, "revoke", "--id", "1"); err == nil || !strings.Contains(complaints, "deploy this version first") || len(calls) != 1 {
		t.Errorf("a stack of an older version: %v, %s, %q", err, complaints, calls)
	}
	gone := newCLI(t)
	gone.fails["--connection-id=c2="] = "An error occurred (GoneException) when calling the DeleteConnection operation"
	if out, complaints, _, err := gone.run(t, "revoke", "--user", "ann", "--region", "eu-central-1"); err != nil || !strings.Contains(out, "ended: 2 of 2") {
		t.Errorf("a connection that ended by itself: %v, %s%s", err, out, complaints)
	}
	late := newCLI(t)
	file := late.file(t, part(`{"sub":"ann","jti":"1","exp":1000000000}`))
	if out, complaints, calls, err := late.run(t, "revoke", "--token-file", file); err != nil || !strings.Contains(out, "expired by itself") || calls != nil {
		t.Errorf("a token of long ago: %v, %s%s, %q", err, out, complaints, calls)
	}
}
