package awslocal_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"culvert/backend/awslocal"
	"culvert/backend/awslocal/awslocaltest"
	"culvert/backend/awslocal/chaos"
	"culvert/backend/awslocal/httpapi"
	"culvert/backend/awslocal/wsapi"
	"culvert/backend/lambda/store"
)

// The faults that the system had which this backend stands in for, and what keeps them
// from coming back: the tests here, on the real functions, and those named.
//
//	1  permission without the stage   wsapi TestPermissionWithoutStage, httpapi TestPermissionNeedsTheStage, deploy TestPermissionsNameTheStage
//	2  data in the $connect answer    TestNothingIsSaidInConnect, agents TestConnect
//	3  wss:// for @connections        TestManagementURLOfTheWrongScheme, cmd/lambda TestBadEnvironment
//	4  posting inside $connect        TestNothingIsSaidInConnect, wsapi TestGoneAtFirst
//	5  wildcard DNS needed            TestPathsAreEnough, agents TestURLsWithoutWildcardDNS
//	6  events told by routeKey        TestHeadersAndQueries, event TestRouteKeySaysNothing, host TestDispatch
//	7  payload formats                TestHeadersAndQueries, TestVariants, httpapi TestEventV1
//	8  answers of anybody             TestForgedAnswers, ticket TestOpenRefuses
//	9  rows of late answers           TestNothingStaysForEver, TestForgedAnswers, agents TestLateAnswer
//	10 stale rows from an index       TestTunnelsThatMove, visitors TestNewTunnelsAreFound
//	11 no second try after 410        TestTunnelsThatMove, visitors TestGone
//	12 bodies over one message        app/awstest TestHostileOneAtATime, visitors TestBodies
//	13 repeated fields, queries lost  TestHeadersAndQueries, event TestQueryKeepsItsOrder

// mirror is an agent that answers every request with its head, until its connection ends.
func mirror(t *testing.T, l *awslocal.Local, ready object) *bare {
	t.Helper()
	b, _ := dial(t, l.AgentsURL(), "", ready)
	if b.established == nil {
		t.Fatal("the agent got no tunnel")
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for m := range b.got {
			if m["type"] != "http_request" {
				continue
			}
			head, _ := json.Marshal(map[string]any{"uri": m["uri"], "headers": m["headers"]}) // was JSON
			if b.conn.WriteJSON(object{
				"type": "http_response", "request_id": m["request_id"], "status_code": 200, "session": b.established["session"],
				"headers": object{"Content-Type": []string{"application/json"}, "Set-Cookie": []string{"a=1; Path=/", "b=2"}, "X-Two": []string{"one", "two"}},
				"body":    base64.StdEncoding.EncodeToString(head), "processing_time_ms": 1,
			}) != nil {
				return
			}
		}
	})
	t.Cleanup(func() {
		b.conn.Close()
		wg.Wait()
	})
	return b
}

// $connect says nothing: what it returned would reach nobody, and a post would find no
// connection yet. What the agent has to know comes after its ready, by a post.
func TestNothingIsSaidInConnect(t *testing.T) {
	t.Parallel()
	l := awslocaltest.Start(t, awslocal.Config{Chaos: chaos.New(1, chaos.Plan{chaos.GoneAtFirst: {Probability: 1, Delay: 400 * time.Millisecond}})})
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), l.AgentsURL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if posts := managed(l); posts > 0 {
		t.Errorf("$connect has made %d calls of @connections", posts)
	}
	if err := conn.WriteJSON(object{"type": "ready"}); err != nil {
		t.Fatal(err)
	}
	var m object
	if err := conn.ReadJSON(&m); err != nil || m["type"] != "connection_established" || managed(l) == 0 {
		t.Errorf("after ready: %v, %v, %d calls of @connections", m["type"], err, managed(l))
	}
}

// managed is how many kinds of calls of @connections there were.
func managed(l *awslocal.Local) (n int) {
	for _, c := range l.Meter().Calls() {
		if c.Action == "execute-api:ManageConnections" {
			n++
		}
	}
	return n
}

// The management API is spoken to by https. A function that was given the wss:// URL
// that agents dial does not start, and says what to do.
func TestManagementURLOfTheWrongScheme(t *testing.T) {
	t.Parallel()
	log := newJournal()
	l := awslocaltest.Start(t, awslocal.Config{Lines: log.line, Env: map[string]string{"CULVERT_AGENTS_API": "wss://abc.execute-api.us-east-1.amazonaws.com/live"}})
	if conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), l.AgentsURL(), nil); err == nil {
		conn.Close()
		t.Error("an agent is let in")
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	if !slices.ContainsFunc(log.lines, func(line string) bool {
		return strings.Contains(line, "CULVERT_AGENTS_API") && strings.Contains(line, "https://")
	}) {
		t.Errorf("no line says what to do: %q", log.lines)
	}
}

// A tunnel's URL needs no name of its own in the DNS.
func TestPathsAreEnough(t *testing.T) {
	t.Parallel()
	l := awslocaltest.Start(t, awslocal.Config{})
	b := mirror(t, l, object{})
	public, _ := b.established["public_url"].(string)
	if want := l.PublicURL() + "/" + b.established["tunnel_id"].(string); public != want || b.established["subdomain_url"] != nil {
		t.Errorf("public URL %q, want %q; subdomain URL %v", public, want, b.established["subdomain_url"])
	}
	if status, text := visit(t, http.MethodGet, public+"/x/y?z", ""); status != 200 || !strings.Contains(text, `"/x/y?z"`) {
		t.Errorf("%d %s", status, text)
	}
}

// In both payload formats nothing of a request gets lost that the gateway gives, and of
// an answer nothing at all.
func TestHeadersAndQueries(t *testing.T) {
	t.Parallel()
	for name, format := range map[string]httpapi.Format{"1.0": httpapi.V1, "2.0": httpapi.V2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := awslocaltest.Start(t, awslocal.Config{Format: format})
			b := mirror(t, l, object{})
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.established["public_url"].(string)+"/p?b=2&a=1&a=2&empty=&c=%20x", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header = http.Header{"X-Many": {"one", "two"}, "Cookie": {"k=v; l=w"}}
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			answer, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			var seen struct {
				URI     string
				Headers http.Header
			}
			if err := json.NewDecoder(answer.Body).Decode(&seen); err != nil {
				t.Fatal(answer.Status, err)
			}
			header := http.Header{}
			for name, values := range seen.Headers {
				header[http.CanonicalHeaderKey(name)] = values
			}
			if got := strings.Join(header["X-Many"], ","); strings.ReplaceAll(got, " ", "") != "one,two" {
				t.Errorf("repeated field: %q", got)
			}
			if got := strings.Join(header["Cookie"], "; "); got != "k=v; l=w" {
				t.Errorf("cookies: %q", got)
			}
			// 1.0 has no raw query: names keep their values, in the values' order.
			_, query, _ := strings.Cut(seen.URI, "?")
			for _, want := range []string{"a=1&a=2", "b=2", "empty=", "c="} {
				if !strings.Contains(query, want) {
					t.Errorf("query %q lacks %q", query, want)
				}
			}
			if format == httpapi.V2 && query != "b=2&a=1&a=2&empty=&c=%20x" {
				t.Errorf("query %q", query)
			}
			if diff := cmp.Diff([]string{"a=1; Path=/", "b=2"}, cookiesWithoutPath(answer.Header["Set-Cookie"])); diff != "" {
				t.Errorf("Set-Cookie (-want +got):\n%s", diff)
			}
			if got := strings.ReplaceAll(strings.Join(answer.Header["X-Two"], ","), " ", ""); got != "one,two" {
				t.Errorf("repeated field of the answer: %q", got)
			}
		})
	}
}

// cookiesWithoutPath undoes the mapping of paths to the tunnel's.
func cookiesWithoutPath(cookies []string) []string {
	var all []string
	for _, c := range cookies {
		if before, _, mapped := strings.Cut(c, "; Path=/"); mapped && strings.HasPrefix(c, "a=") {
			c = before + "; Path=/"
		} else if mapped {
			c = before
		}
		all = append(all, c)
	}
	slices.Sort(all)
	return all
}

// A tunnel that has moved to another connection is found there by the very next
// request: by environments that still think of the old one, and by new ones; though
// nobody has told that the old connection is over.
func TestTunnelsThatMove(t *testing.T) {
	t.Parallel()
	l := awslocaltest.Start(t, awslocal.Config{Chaos: chaos.New(1, chaos.Plan{chaos.DisconnectLost: {Probability: 1}})})
	ready := object{"protocol": 2, "capabilities": []string{"resume", "session", "chunks"}}
	b := mirror(t, l, ready)
	id, public := b.established["tunnel_id"], b.established["public_url"].(string)
	for round := range 6 {
		if status, text := visit(t, http.MethodGet, public+"/before", ""); status != 200 {
			t.Fatalf("round %d, before: %d %s", round, status, text)
		}
		old := b
		again := object{"tunnel_id": id, "resume": old.established["resume"], "epoch": old.established["epoch"]}
		for name, value := range ready {
			again[name] = value
		}
		b = mirror(t, l, again)
		if b.established["tunnel_id"] != id {
			t.Fatalf("got %v, want %v", b.established["tunnel_id"], id)
		}
		was := old.established["connection_id"].(string)
		l.AgentsAPI().Kill(was)
		for slices.ContainsFunc(l.AgentsAPI().Connections(), func(c wsapi.Connection) bool { return c.ID == was && c.Open }) {
		}
		if round%2 == 1 {
			l.Function(awslocal.Public).Recycle()
		}
		if status, text := visit(t, http.MethodGet, public+"/after", ""); status != 200 {
			t.Errorf("round %d, after: %d %s", round, status, text)
		}
	}
}

// Whatever is written has an end: late answers, too, which once made rows anew that
// nobody deleted again. And no table has an index that could be behind.
func TestNothingStaysForEver(t *testing.T) {
	t.Parallel()
	l := awslocaltest.Start(t, awslocal.Config{Env: map[string]string{"CULVERT_MAX_WAIT": "1s", "CULVERT_TUNNEL_RPM": "1000"}})
	b, _ := dial(t, l.AgentsURL(), "", object{})
	done := ask(t.Context(), http.MethodGet, b.established["public_url"].(string)+"/late", "")
	id, _ := b.request()
	if o := <-done; o.status != http.StatusGatewayTimeout {
		t.Fatalf("%+v", o)
	}
	b.say(answer(id, "late", nil))
	db, names := awslocal.Database(l)
	deadline := time.Now().Add(30 * time.Second)
	for items := 0; items == 0; { // until the late answer is there
		if time.Now().After(deadline) {
			t.Fatal("the late answer is not in the store")
		}
		out, err := db.Scan(t.Context(), &dynamodb.ScanInput{TableName: &names.Answers})
		if err != nil {
			t.Fatal(err)
		}
		items = len(out.Items)
	}
	for _, table := range store.Schema(names) {
		if len(table.GlobalSecondaryIndexes) > 0 {
			t.Errorf("%s has an index", *table.TableName)
		}
	}
	for _, table := range []string{names.Tunnels, names.Connections, names.Answers} {
		out, err := db.Scan(t.Context(), &dynamodb.ScanInput{TableName: &table})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Items) == 0 {
			t.Errorf("%s is empty", table)
		}
		for _, item := range out.Items {
			if item["ttl"] == nil {
				t.Errorf("%s: an item without an end: %v", table, item["id"])
			}
		}
	}
}
