package deploy

import (
	"fmt"
	"strings"
	"testing"
)

// queues are those of the notices, with the ones for what failed.
var queues = map[string]string{"NotifyUserQueue": "NotifyUserDeadQueue", "NotifyConnectionQueue": "NotifyConnectionDeadQueue"}

// TestQueues: encrypted, only over TLS, and what fails five times is kept for two weeks.
func TestQueues(t *testing.T) {
	t.Parallel()
	tmpl := load(t, map[string]string{"Notices": "true"})
	if n := len(tmpl.resources("AWS::SQS::Queue")); n != 2*len(queues) {
		t.Errorf("%d queues", n)
	}
	timeout := at(tmpl.resource("NoticesFunction").properties, "Timeout").(int)
	names := make(map[any]bool)
	for live, dead := range queues {
		p := tmpl.resource(live).properties
		if got := fmt.Sprint(at(p, "RedrivePolicy", "deadLetterTargetArn"), " ", at(p, "RedrivePolicy", "maxReceiveCount")); got != "arn:"+dead+" 5" {
			t.Errorf("%s: what fails goes to %s", live, got)
		}
		if got := at(p, "VisibilityTimeout").(int); got < 6*timeout {
			t.Errorf("%s hands a message out again after %d s, and the function may take %d: Lambda wants six times that", live, got, timeout)
		}
		if got := at(tmpl.resource(dead).properties, "MessageRetentionPeriod"); got != 14*24*60*60 {
			t.Errorf("%s keeps messages for %v s", dead, got)
		}
		if tmpl.resource(dead).properties["RedrivePolicy"] != nil {
			t.Errorf("%s sends on", dead)
		}
		for _, id := range []string{live, dead} {
			q := tmpl.resource(id)
			if at(q.properties, "SqsManagedSseEnabled") != true {
				t.Errorf("%s is not encrypted", id)
			}
			if q.raw["DeletionPolicy"] != "Delete" {
				t.Errorf("%s stays when the stack goes", id)
			}
			names[at(q.properties, "QueueName")] = true
			policy := tmpl.resource(id + "Policy").properties
			s := at(policy, "PolicyDocument", "Statement").([]any)[0]
			if fmt.Sprint(at(policy, "Queues")) != "[ref:"+id+"]" || at(s, "Effect") != "Deny" || at(s, "Principal") != "*" ||
				at(s, "Action") != "sqs:*" || at(s, "Resource") != "arn:"+id || at(s, "Condition", "Bool", "aws:SecureTransport") != "false" {
				t.Errorf("%s may be used without TLS: %v", id, policy)
			}
		}
	}
	if len(names) != 2*len(queues) {
		t.Errorf("names of queues: %v", names)
	}
}

// TestQueuesAreServed: by the notices function, a few messages at once so that notices
// cannot use up the concurrency of tunnels, and those that fail come again alone.
func TestQueuesAreServed(t *testing.T) {
	t.Parallel()
	tmpl := load(t, everything())
	served := make(map[any]bool)
	for id, m := range tmpl.resources("AWS::Lambda::EventSourceMapping") {
		p := m.properties
		served[at(p, "EventSourceArn")] = true
		if at(p, "FunctionName") != "ref:NoticesFunction" || at(p, "BatchSize") != 10 {
			t.Errorf("%s: %v", id, p)
		}
		if got := fmt.Sprint(at(p, "FunctionResponseTypes")); got != "[ReportBatchItemFailures]" {
			t.Errorf("%s reports %s: one failure would bring the whole batch again", id, got)
		}
		if got, _ := at(p, "ScalingConfig", "MaximumConcurrency").(int); got != 2 {
			t.Errorf("%s runs %d at once, and in a new account there are ten in all", id, got)
		}
	}
	for live := range queues {
		if !served["arn:"+live] {
			t.Errorf("nobody serves %s", live)
		}
	}
	if len(served) != len(queues) {
		t.Errorf("served are %v", served)
	}
	env := environment(tmpl, "NoticesFunction")
	for name, want := range map[string]string{
		"CULVERT_NOTIFY_USER_ARN": "arn:NotifyUserQueue", "CULVERT_NOTIFY_CONNECTION_ARN": "arn:NotifyConnectionQueue",
		"CULVERT_NOTIFY_CONNECTION_URL": "ref:NotifyConnectionQueue",
	} {
		if env[name] != want {
			t.Errorf("%s=%s, want %s", name, env[name], want)
		}
	}
	for output, want := range map[string]string{"NotifyUserQueueUrl": "ref:NotifyUserQueue", "NotifyConnectionQueueUrl": "ref:NotifyConnectionQueue"} {
		if got := tmpl.resolve(at(tmpl.document, "Outputs", output, "Value")); got != want {
			t.Errorf("the output %s is %v", output, got)
		}
	}
}

// TestDeadLettersAreNoticed: a notice that failed five times is told at once.
func TestDeadLettersAreNoticed(t *testing.T) {
	t.Parallel()
	tmpl := load(t, everything())
	watched := make(map[any]bool)
	for _, a := range tmpl.resources("AWS::CloudWatch::Alarm") {
		if at(a.properties, "Namespace") != "AWS/SQS" {
			continue
		}
		d := at(a.properties, "Dimensions").([]any)[0]
		if at(a.properties, "MetricName") == "ApproximateNumberOfMessagesVisible" && at(d, "Name") == "QueueName" &&
			at(a.properties, "Threshold") == 1 && at(a.properties, "Statistic") == "Maximum" {
			watched[at(d, "Value")] = true
		}
	}
	for _, dead := range queues {
		if !watched[dead+".QueueName"] {
			t.Errorf("nobody is told of messages in %s", dead)
		}
	}
}

// TestNoticesCostNothingUnused: the mappings ask the queues day and night, so they are
// there only for who wants them.
func TestNoticesCostNothingUnused(t *testing.T) {
	t.Parallel()
	tmpl := load(t, nil)
	for id, r := range tmpl.resources("") {
		if strings.HasPrefix(r.kind, "AWS::SQS::") || r.kind == "AWS::Lambda::EventSourceMapping" || strings.HasPrefix(id, "Noti") {
			t.Errorf("%s is made without being asked for", id)
		}
	}
}

// TestProcessor: the function that does actions has its own memory, gives up before the
// one that waits for it, and gets nothing but what it does.
func TestProcessor(t *testing.T) {
	t.Parallel()
	tmpl := load(t, map[string]string{"MemorySize": "256", "ProcessorMemorySize": "1024"})
	processor, agents := tmpl.resource("ProcessorFunction").properties, tmpl.resource("AgentsFunction").properties
	if fmt.Sprint(at(processor, "MemorySize")) != "1024" || at(agents, "MemorySize") != nil {
		t.Errorf("memory: %v, agents %v", at(processor, "MemorySize"), at(agents, "MemorySize"))
	}
	if p, a := at(processor, "Timeout").(int), at(agents, "Timeout").(int); p+5 > a {
		t.Errorf("the processor may take %d s, and who waits for it %d", p, a)
	}
	if got := environment(tmpl, "AgentsFunction")["CULVERT_PROCESSOR"]; got != "arn:ProcessorFunction" {
		t.Errorf("actions are done by %q", got)
	}
	for name := range environment(tmpl, "ProcessorFunction") {
		if strings.HasSuffix(name, "_TABLE") {
			t.Errorf("the processor is told %s", name)
		}
	}
}
