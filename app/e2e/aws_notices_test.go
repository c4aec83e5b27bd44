package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// testAWSNotices puts messages on the queues of a real SQS server, as somebody's own
// programs do, and sees them come to wscat and to an agent.
func testAWSNotices(t *testing.T, aws *account) {
	users := wordAfter(aws.says(t, "notices for users come from the queue "), "the queue ")
	connections := wordAfter(aws.says(t, "notices for connections come from the queue "), "the queue ")
	erin := tokenOf(t, jwt.MapClaims{"sub": "erin"})
	agent := startAgent(t, agentSpec{target: serve(t, http.NotFoundHandler()).URL, backend: aws.agents, env: []string{"CULVERT_TOKEN=" + erin}})
	w := connect(t, aws.agents+"/?token="+erin)
	stranger := connect(t, aws.agents+"/?token="+tokenOf(t, jwt.MapClaims{"sub": "frank"}))

	sendToQueue(t, users, `{"userId":"erin","data":{"title":"Build","message":"is green"}}`)
	got := w.await(t, "the notice", func(e event) bool { return e.str("type") == "notice" })
	data, _ := got["data"].(map[string]any)
	if got.str("id") == "" || data["message"] != "is green" {
		t.Errorf("%v", got)
	}
	shown := agent.awaitEvent(t, "notice")
	if !strings.Contains(shown.str("message"), "is green") || shown.str("id") != got.str("id") {
		t.Errorf("culvert http prints %v", shown)
	}

	// One that nobody can read, one to a connection that is gone, one to a user who has
	// none: the next one comes all the same.
	id := thisConnection(t, w)
	sendToQueue(t, connections, `not JSON`)
	sendToQueue(t, connections, `{"connectionId":"AAAAAAAAAAA=","data":1}`)
	sendToQueue(t, users, `{"userId":"nobody","data":1}`)
	sendToQueue(t, connections, fmt.Sprintf(`{"connectionId":%q,"data":"for one"}`, id))
	w.await(t, "the notice for one", func(e event) bool { return e["data"] == "for one" })

	if got := result(t, stranger.ask(t, "s", `{"action":"echo","id":"s","data":1}`)); got != "1" {
		t.Error(got)
	}
	for _, line := range stranger.lines() {
		if strings.Contains(line, `"notice"`) {
			t.Errorf("frank got %s", line)
		}
	}
}

// thisConnection is the ID of a client's own connection.
func thisConnection(t testing.TB, w *wscat) string {
	t.Helper()
	answer := w.ask(t, "this", `{"action":"connections","id":"this"}`)
	result(t, answer)
	list, _ := answer["result"].(map[string]any)
	all, _ := list["connections"].([]any)
	for _, c := range all {
		if c, _ := c.(map[string]any); c["this"] == true {
			id, _ := c["connection_id"].(string)
			return id
		}
	}
	t.Fatalf("%v does not say which connection is this one", answer)
	return ""
}

// sendToQueue sends a message as curl does.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
func sendToQueue(t testing.TB, queue, body string) {
	t.Helper()
	resp, err := newClient(t).PostForm(queue, url.Values{"Action": {"SendMessage"}, "MessageBody": {body}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if said, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %.500s", resp.Status, said)
	}
}
