package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/gorilla/websocket"

	"culvert/backend/auth"
	"culvert/backend/awslocal/awslocaltest"
	"culvert/backend/awslocal/dynamolocal"
	"culvert/backend/awslocal/sqslocal"
)

// awsLocal starts the stand-in with the real functions, and gives the agents' URL
// and the visitors'.
func awsLocal(t *testing.T, args ...string) (p *process, agents, visitors string) {
	t.Helper()
	p = spawn(t, append([]string{"aws-local", "--lambda", awslocaltest.Bootstrap(t), "--http", "127.0.0.1:0", "--ws", "127.0.0.1:0",
		"--config", t.TempDir()}, args...)...)
	p.read()
	line := p.says(t, "is ready")
	agents = field(line, "agents dial ")
	return p, agents, field(line, "visitors come to ")
}

func field(line, before string) string {
	_, after, _ := strings.Cut(line, before)
	word, _, _ := strings.Cut(after, " ")
	return strings.TrimSuffix(word, ",")
}

// A server for --s3 or --sqs that is not there is told at once, before Java is started.
func TestAWSLocalWithoutServers(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	nobody := "http://" + conn.LocalAddr().String() // where nobody can listen meanwhile
	for flag, service := range map[string]string{"--s3": "S3", "--sqs": "SQS"} {
		p := spawn(t, "aws-local", "--lambda", awslocaltest.Bootstrap(t), "--http", "127.0.0.1:0", "--ws", "127.0.0.1:0",
			flag, nobody, "--config", t.TempDir())
		if code := p.wait(t); code != exitFailed {
			t.Errorf("%s: exit code %d", flag, code)
		}
		said := p.stderr.String()
		if !strings.Contains(said, service+" at "+nobody+": nothing answers there") || !strings.Contains(said, "leave "+flag+" out") || strings.Contains(said, "DynamoDB") || flag == "--sqs" && !strings.Contains(said, "`make sqs`") {
			t.Errorf("%s: it says %q", flag, said)
		}
	}
}

// A tunnel through everything: the command's own agent, the real functions, both
// forms of URL. Then all of it stops, and is gone.
func TestAWSLocal(t *testing.T) {
	t.Parallel()
	p, agents, visitors := awsLocal(t, "--dynamodb", dynamolocal.Test(t), "--subdomains", "--function-url", "127.0.0.1:0")
	stream := field(p.says(t, "streamed answers"), "answers at ")
	tunnel := spawn(t, "http", service(t), "--backend", agents, "--json", "--config", t.TempDir())
	tunnel.read()
	online := tunnel.next(t, "online")
	id, path := online["tunnel_id"].(string), online["path_based_url"].(string)
	if path != visitors+"/"+id {
		t.Errorf("path URL %s, want it below %s", path, visitors)
	}
	port := visitors[strings.LastIndex(visitors, ":")+1:]
	if want := "http://" + id + ".localhost:" + port; online["subdomain_url"] != want {
		t.Errorf("subdomain URL %v, want %s", online["subdomain_url"], want)
	}
	if got := get(t, visits(), path+"/by/path"); got != "hello /by/path" {
		t.Errorf("by path: %q", got)
	}
	if got := get(t, toHost(visitors), online["subdomain_url"].(string)+"/by/name"); got != "hello /by/name" {
		t.Errorf("by subdomain: %q", got)
	}
	if got := get(t, visits(), stream+"/"+id+"/streamed"); got != "hello /streamed" {
		t.Errorf("streamed: %q", got)
	}
	children := childrenOf(t, p.cmd.Process.Pid)
	if len(children) < 2 {
		t.Errorf("%d processes run functions", len(children))
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != exitOK {
		t.Errorf("exit code %d; stderr %s", code, p.stderr.String())
	}
	if !strings.Contains(p.stderr.String(), "would have cost") {
		t.Errorf("no costs in %s", p.stderr.String())
	}
	gone(t, children)
}

// A token secret makes tokens needed.
func TestAWSLocalTokens(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("0123456789abcdef0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, agents, _ := awsLocal(t, "--dynamodb", dynamolocal.Test(t), "--jwt-secret-file", secret)
	refused := spawn(t, "http", service(t), "--backend", agents, "--json", "--config", t.TempDir())
	refused.read()
	if code := refused.wait(t); code != exitRefused {
		t.Errorf("without a token: exit code %d; stderr %s", code, refused.stderr.String())
	}
}

// Without a token, a connection can only authorize; what is put on the announced queue
// comes to it then.
func TestAWSLocalNotices(t *testing.T) {
	t.Parallel()
	server := sqslocal.Test(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := auth.MakeSecret(secret); err != nil {
		t.Fatal(err)
	}
	key, err := auth.LoadSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	token, err := auth.Mint(key, auth.Grant{Identity: auth.Identity{Subject: "ann", Expires: time.Now().Add(time.Hour)}})
	if err != nil {
		t.Fatal(err)
	}
	p, agents, _ := awsLocal(t, "--dynamodb", dynamolocal.Test(t), "--sqs", server, "--jwt-secret-file", secret, "--connect-auth", "deferred")
	queue := field(p.says(t, "notices for users"), "queue ")
	if want := server + "/123456789012/culvert-notify-user"; queue != want {
		t.Errorf("the queue is %s, want %s", queue, want)
	}
	p.says(t, "culvert-notify-connection")
	dead := p.says(t, "failed")
	if !strings.Contains(dead, queue+"-dead") || !strings.Contains(dead, "culvert-notify-connection-dead") {
		t.Errorf("dead letters: %s", dead)
	}
	_, line, _ := strings.Cut(p.says(t, "send one"), "names: ")
	if want := "curl " + queue + " -d Action=SendMessage "; !strings.HasPrefix(line, want) {
		t.Errorf("the line to send one by is %q, want %s…", line, want)
	}
	conn, answer, err := websocket.DefaultDialer.DialContext(t.Context(), agents, nil)
	if err != nil {
		t.Fatal(err, answer)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(patience))
	ask := func(text, want string) {
		t.Helper()
		if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.ReadMessage(); err != nil || !strings.Contains(string(got), want) {
			t.Fatalf("%s is answered by %s, %v", text, got, err)
		}
	}
	ask(`{"action":"echo"}`, `"unauthorized"`)
	ask(`{"action":"authorize","data":"`+token+`"}`, `"user":"ann"`)
	c := sqs.New(sqs.Options{Region: "us-east-1", BaseEndpoint: &server, Credentials: credentials.NewStaticCredentialsProvider("id", "secret", "")})
	if _, err := c.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &queue, MessageBody: aws.String(`{"userId":"ann","data":"dinner"}`)}); err != nil {
		t.Fatal(err)
	}
	if _, got, err := conn.ReadMessage(); err != nil || !strings.Contains(string(got), `"type":"notice"`) || !strings.Contains(string(got), `"data":"dinner"`) {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := exec.LookPath("curl"); err == nil { // the line that was printed does the same
		if said, err := exec.Command("sh", "-c", strings.Replace(line, "USER", "ann", 1)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		if _, got, err := conn.ReadMessage(); err != nil || !strings.Contains(string(got), `"data":"Hello"`) {
			t.Errorf("got %s, %v", got, err)
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != exitOK {
		t.Errorf("exit code %d; stderr %s", code, p.stderr.String())
	}
	if !strings.Contains(p.stderr.String(), "SQS requests") {
		t.Errorf("no costs of SQS in %s", p.stderr.String())
	}
}

// However it ends, it leaves no process behind: not DynamoDB Local, not ElasticMQ, no
// function.
func TestAWSLocalKilled(t *testing.T) {
	t.Parallel()
	dynamolocal.Test(t) // its program is in the cache from now on
	sqslocal.Test(t)
	p, agents, _ := awsLocal(t, "--sqs", "local")
	tunnel := spawn(t, "http", service(t), "--backend", agents, "--json", "--config", t.TempDir())
	tunnel.url(t)
	children := childrenOf(t, p.cmd.Process.Pid)
	if len(children) < 3 {
		t.Errorf("%d children: want DynamoDB Local, ElasticMQ and functions", len(children))
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait(t)
	gone(t, children)
}

// Interrupted while DynamoDB Local starts, it stops at once, and that is no failure.
func TestAWSLocalInterruptedEarly(t *testing.T) {
	t.Parallel()
	dynamolocal.Test(t)
	p := spawn(t, "aws-local", "--lambda", awslocaltest.Bootstrap(t), "--http", "127.0.0.1:0", "--ws", "127.0.0.1:0", "--config", t.TempDir())
	p.read()
	p.complains(t, "starting DynamoDB Local")
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(t); code != exitOK {
		t.Errorf("exit code %d; stderr %s", code, p.stderr.String())
	}
	if line, more := <-p.lines; more {
		t.Errorf("stdout has %q", line)
	}
}

// An address that is taken is found before anything is started.
func TestAWSLocalPortTaken(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	p := spawn(t, "aws-local", "--lambda", awslocaltest.Bootstrap(t), "--http", ln.Addr().String(), "--ws", "127.0.0.1:0", "--config", t.TempDir())
	p.read()
	if code := p.wait(t); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if got := p.stderr.String(); !strings.Contains(got, "--http") || !strings.Contains(got, "in use") || strings.Contains(got, "DynamoDB") {
		t.Errorf("stderr %q", got)
	}
}

// Without Java the package to install is named.
func TestAWSLocalWithoutJava(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("culvert", "aws-local", "--lambda", awslocaltest.Bootstrap(t), "--http", "127.0.0.1:0", "--ws", "127.0.0.1:0", "--config", t.TempDir())
	cmd.Env = append(cmd.Environ(), "PATH="+t.TempDir(), "JAVA_HOME=")
	said, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(string(said), "apt install default-jre-headless") {
		t.Errorf("%v: %s", err, said)
	}
}

// toHost is a client whose connections all go to one address: names below localhost
// are this machine's in browsers, but not in every resolver.
func toHost(base string) *http.Client {
	address := strings.TrimPrefix(base, "http://")
	c := visits()
	c.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return c
}

// childrenOf are the processes that a process has started.
func childrenOf(t *testing.T, pid int) (children []int) {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if (err != nil || len(names) == 0) && runtime.GOOS == "linux" {
		t.Fatalf("/proc shows no process: %v", err)
	} else if len(names) == 0 {
		t.Skip("this system does not show its processes in /proc")
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended meanwhile
		}
		// PID (NAME) STATE PPID; the name may have anything in it.
		fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			children = append(children, child)
		}
	}
	return children
}

// gone waits until processes have ended.
func gone(t *testing.T, pids []int) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // polling; the deadline decides
		pids = slices.DeleteFunc(pids, func(pid int) bool { return !runs(pid) })
		if len(pids) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("processes %v still run", pids)
		}
	}
}

// runs reports whether a process is there and no zombie.
func runs(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	state := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	return len(state) > 0 && state[0] != "Z" && state[0] != "X"
}
