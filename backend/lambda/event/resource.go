package event

import (
	"encoding/json"
	"net/url"
)

// What CloudFormation wants with a resource (Resource.RequestType).
const (
	Create = "Create"
	Update = "Update"
	Delete = "Delete"
)

// Resource is CloudFormation's request about a custom resource. The answer is not
// what the function returns, but what is put to ResponseURL.
//
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requests.html
type Resource struct {
	RequestType string // Create, Update or Delete
	RequestID   string
	// ResponseURL is presigned: whoever has it can answer. It must not be logged.
	ResponseURL  string
	ResourceType string
	StackID      string
	LogicalID    string
	PhysicalID   string // empty on Create
	// Properties are the template's. CloudFormation makes all scalars strings.
	Properties, OldProperties map[string]any
}

func (e *envelope) resource() (*Resource, error) {
	r := &Resource{
		RequestType: e.RequestType, RequestID: e.RequestID, ResponseURL: e.ResponseURL, ResourceType: e.ResourceType,
		StackID: e.StackID, LogicalID: e.LogicalID, PhysicalID: e.PhysicalID,
		Properties: e.Properties, OldProperties: e.OldProperties,
	}
	switch {
	case r.RequestType != Create && r.RequestType != Update && r.RequestType != Delete:
		return nil, malformed("CloudFormation's request is of the unknown type %.40q", r.RequestType)
	case r.RequestID == "" || r.LogicalID == "":
		return nil, malformed("CloudFormation's request lacks RequestId or LogicalResourceId")
	case r.PhysicalID == "" && r.RequestType != Create:
		return nil, malformed("CloudFormation's request lacks PhysicalResourceId")
	}
	if u, err := url.Parse(r.ResponseURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, malformed("CloudFormation's request has no ResponseURL to answer to") // not quoted: it is a secret
	}
	return r, nil
}

// Outcome is the answer to CloudFormation.
type Outcome struct {
	// Err is why it failed; its text is shown to the user in the stack's events.
	Err error
	// PhysicalID names the resource from now on. Another one than before makes
	// CloudFormation delete the old one. Empty keeps it, or makes one up.
	PhysicalID string
	// Data are what the template reads with Fn::GetAtt. They are shown to everyone
	// who may read the stack: no secrets.
	Data map[string]string
}

// maxReason bounds what CloudFormation is told of an error; it takes 4 KB in all.
const maxReason = 1024

// EncodeOutcome gives the JSON to be put to r.ResponseURL.
func (r *Resource) EncodeOutcome(o Outcome) []byte {
	answer := struct {
		Status     string            `json:"Status"`
		Reason     string            `json:"Reason,omitempty"`
		PhysicalID string            `json:"PhysicalResourceId"`
		StackID    string            `json:"StackId"`
		RequestID  string            `json:"RequestId"`
		LogicalID  string            `json:"LogicalResourceId"`
		Data       map[string]string `json:"Data,omitempty"`
	}{"SUCCESS", "", o.PhysicalID, r.StackID, r.RequestID, r.LogicalID, o.Data}
	if answer.PhysicalID == "" {
		answer.PhysicalID = r.PhysicalID
	}
	if answer.PhysicalID == "" {
		answer.PhysicalID = r.LogicalID + "-" + r.RequestID
	}
	if o.Err != nil {
		answer.Status, answer.Data = "FAILED", nil
		answer.Reason = o.Err.Error()
		if len(answer.Reason) > maxReason {
			answer.Reason = answer.Reason[:maxReason] + "…"
		}
	}
	text, _ := json.Marshal(answer) // cannot fail: strings alone
	return text
}
