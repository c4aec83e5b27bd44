package e2e

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/mccutchen/go-httpbin/v2/httpbin"
)

// TestAWSTokens has agents show who they are, ends the account and looks who minds.
func TestAWSTokens(t *testing.T) {
	t.Parallel()
	secret := writeSecret(t, testSecret)
	httpAddr, wsAddr := "127.0.0.1:"+strconv.Itoa(freePort(t)), "127.0.0.1:"+strconv.Itoa(freePort(t))
	aws := startAccount(t, accountSpec{args: []string{"--jwt-secret-file", secret, "--http", httpAddr, "--ws", wsAddr}})
	if aws.visitors != "http://"+httpAddr || aws.agents != "ws://"+wsAddr {
		t.Errorf("it is at %s and %s, want %s and %s", aws.visitors, aws.agents, httpAddr, wsAddr)
	}
	service := serve(t, httpbin.New())
	soon := time.Now().Add(time.Hour).Unix()
	token := func(claims jwt.MapClaims) []string {
		return []string{"--token", mint(t, jwt.SigningMethodHS256, []byte(testSecret), claims)}
	}
	for name, args := range map[string][]string{
		"none":         nil,
		"garbage":      {"--token", "garbage"},
		"another key":  {"--token", mint(t, jwt.SigningMethodHS256, []byte("another secret of thirty-two bytes, or more"), jwt.MapClaims{"sub": "me", "exp": soon})},
		"expired":      token(jwt.MapClaims{"sub": "me", "exp": time.Now().Add(-time.Hour).Unix()}),
		"other tunnel": append(token(jwt.MapClaims{"sub": "me", "exp": soon, "tunnels": []string{"mine"}}), "--name", "yours"),
	} {
		t.Run(name, func(t *testing.T) {
			p := agentSpec{target: service.URL, backend: aws.agents, args: args}.start(t)
			if code := p.exit(t); code != 3 {
				t.Errorf("exit code %d, want 3", code)
			}
			if len(p.seen("online")) > 0 {
				t.Error("it was online")
			}
		})
	}
	agents := []*agent{
		startAgent(t, agentSpec{target: service.URL, backend: aws.agents, args: token(jwt.MapClaims{"sub": "me", "exp": soon})}),
		startAgent(t, agentSpec{target: service.URL, backend: aws.agents + "/live", args: append(token(jwt.MapClaims{"sub": "me", "exp": soon, "tunnels": []string{"mine"}}), "--name", "mine")}),
	}
	for _, a := range agents {
		mustGet(t, http.StatusOK, a.path("/get"))
	}

	// The account goes away: agents try to come back until they are told to stop.
	aws.signal(t, syscall.SIGINT)
	if code := aws.exit(t); code != 0 {
		t.Errorf("exit code %d after SIGINT, want 0", code)
	}
	if !strings.Contains(aws.errors(), "would have cost") {
		t.Errorf("it does not say what AWS would have cost: %s", aws.errors())
	}
	for _, addr := range []string{httpAddr, wsAddr} {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			t.Errorf("somebody still listens at %s", addr)
		}
	}
	for _, a := range agents {
		a.awaitEvent(t, "reconnecting")
		a.stop(t)
	}
}

// TestAWSUsage starts accounts that cannot be.
func TestAWSUsage(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no program":       {[]string{"--lambda", "/no/such/file"}, 2, "--lambda"},
		"short secret":     {[]string{"--jwt-secret-file", writeSecret(t, "short")}, 2, "--jwt-secret-file"},
		"no secret":        {[]string{"--jwt-secret-file", "/no/such/file"}, 2, "--jwt-secret-file"},
		"no address":       {[]string{"--http", "nowhere"}, 2, "--http"},
		"open to everyone": {[]string{"--ws", "0.0.0.0:0"}, 2, "loopback"},
		"chaos":            {[]string{"--chaos", "much"}, 2, "--chaos"},
		"unknown flag":     {[]string{"--no-such-flag"}, 2, "--no-such-flag"},
		"argument":         {[]string{"3000"}, 2, "3000"},
		"address taken":    {[]string{"--http", taken.Addr().String()}, 1, "--http"},
		"no database":      {[]string{"--dynamodb", "http://127.0.0.1:" + strconv.Itoa(freePort(t))}, 1, "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := accountSpec{args: c.args}.start(t)
			if code := p.exit(t); code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			if !strings.Contains(p.errors(), c.says) {
				t.Errorf("it complains of %q, want %q in it", p.errors(), c.says)
			}
			if len(p.stdout) > 0 {
				t.Errorf("stdout has %q", p.stdout)
			}
		})
	}
}

// testAWSEvents holds the agent's JSON lines against what was asked, with bodies that
// are no text, both ways.
func testAWSEvents(t *testing.T, aws *account) {
	a := aws.tunnel(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for i := range body {
			body[i] ^= 0xff
		}
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(body)
	}))
	every := make([]byte, 256)
	flipped := make([]byte, 256)
	for i := range every {
		every[i], flipped[i] = byte(i), byte(i)^0xff
	}
	for _, base := range []string{a.path(""), a.subdomain(""), aws.form(a, "stream")} {
		req, err := http.NewRequest(http.MethodPut, base+"/x/%C3%A9?y=%2F", strings.NewReader(string(every)))
		if err != nil {
			t.Fatal(err)
		}
		got, err := do(t, req)
		if err != nil || got.status != http.StatusTeapot || got.body != string(flipped) {
			t.Errorf("%s: %v, status %d, body %x", base, err, got.status, got.body)
		}
		e := a.awaitEvent(t, "request")
		if e.str("method") != "PUT" || e.str("path") != "/x/%C3%A9?y=%2F" || e.num("status") != 418 || e.num("bytes_in") != 256 ||
			e.num("bytes_out") != 256 || e.str("remote_addr") != "127.0.0.1" || e.str("id") == "" || e.num("duration_ms") < 0 {
			t.Errorf("%s: the event is %v", base, e)
		}
	}
}
