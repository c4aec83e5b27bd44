package event

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func customResource(change object) []byte {
	return event(object{
		"RequestType": "Update", "ResponseURL": "https://bucket.s3.amazonaws.com/x?X-Amz-Signature=hush", "StackId": "arn:aws:cloudformation:eu-west-1:1:stack/s/g",
		"RequestId": "unique", "ResourceType": "Custom::CulvertKeys", "LogicalResourceId": "Keys", "PhysicalResourceId": "/culvert/keys",
		"ResourceProperties": object{"Generation": "2"}, "OldResourceProperties": object{"Generation": "1"},
	}, change)
}

func TestResource(t *testing.T) {
	t.Parallel()
	e, err := Parse(customResource(nil))
	if err != nil {
		t.Fatal(err)
	}
	want := &Event{Kind: CustomResource, Resource: &Resource{
		RequestType: Update, RequestID: "unique", ResponseURL: "https://bucket.s3.amazonaws.com/x?X-Amz-Signature=hush", ResourceType: "Custom::CulvertKeys",
		StackID: "arn:aws:cloudformation:eu-west-1:1:stack/s/g", LogicalID: "Keys", PhysicalID: "/culvert/keys",
		Properties: object{"Generation": "2"}, OldProperties: object{"Generation": "1"},
	}}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMalformedResources(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]object{
		"unknown type":  {"RequestType": "Import"},
		"no request ID": {"RequestId": nil},
		"no name":       {"LogicalResourceId": ""},
		"update of nothing": {
			"PhysicalResourceId": nil,
		},
		"nobody to tell":  {"ResponseURL": nil},
		"a file to write": {"ResponseURL": "file:///tmp/x?hush"},
		"no URL":          {"ResponseURL": "://hush"},
	} {
		e, err := Parse(customResource(change))
		if !errors.Is(err, ErrMalformed) || e.Kind != CustomResource || e.Resource != nil {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the error quotes the URL: %v", name, err)
		}
	}
}

func TestEncodeOutcome(t *testing.T) {
	t.Parallel()
	r := &Resource{RequestID: "unique", StackID: "arn", LogicalID: "Keys"}
	old := &Resource{RequestID: "unique", StackID: "arn", LogicalID: "Keys", PhysicalID: "/old"}
	for _, c := range []struct {
		name    string
		r       *Resource
		outcome Outcome
		want    object
	}{
		{"success", r, Outcome{PhysicalID: "/culvert/keys", Data: map[string]string{"Generation": "1"}}, object{
			"Status": "SUCCESS", "PhysicalResourceId": "/culvert/keys", "Data": object{"Generation": "1"},
		}},
		{"no name given", r, Outcome{}, object{"Status": "SUCCESS", "PhysicalResourceId": "Keys-unique"}},
		{"the name is kept", old, Outcome{}, object{"Status": "SUCCESS", "PhysicalResourceId": "/old"}},
		{"failure", old, Outcome{Err: errors.New("denied"), Data: map[string]string{"a": "b"}}, object{
			"Status": "FAILED", "Reason": "denied", "PhysicalResourceId": "/old",
		}},
		{"a long reason", old, Outcome{Err: errors.New(strings.Repeat("x", 5000))}, object{
			"Status": "FAILED", "Reason": strings.Repeat("x", maxReason) + "\u2026", "PhysicalResourceId": "/old",
		}},
	} {
		var got object
		if err := json.Unmarshal(c.r.EncodeOutcome(c.outcome), &got); err != nil {
			t.Fatal(err)
		}
		c.want["RequestId"], c.want["StackId"], c.want["LogicalResourceId"] = "unique", "arn", "Keys"
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
