package deploy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"culvert/backend/lambda/store"
)

// TestTables: paid for by use, cleaned up by time, and no index, which would show a
// tunnel just opened only after a while. The keys are those that the store uses.
func TestTables(t *testing.T) {
	t.Parallel()
	tables := load(t, nil).resources("AWS::DynamoDB::Table")
	schema := store.Schema(store.Names{Tunnels: "TunnelsTable", Connections: "ConnectionsTable", Users: "UsersTable", Answers: "AnswersTable"})
	if len(tables) != len(schema) {
		t.Errorf("%d tables, and the store uses %d", len(tables), len(schema))
	}
	for _, table := range schema {
		id := *table.TableName
		p := tables[id].properties
		var got, want []string
		for _, a := range table.AttributeDefinitions {
			want = append(want, *a.AttributeName+" "+string(a.AttributeType))
		}
		for _, k := range table.KeySchema {
			want = append(want, *k.AttributeName+" "+string(k.KeyType))
		}
		for _, a := range at(p, "AttributeDefinitions").([]any) {
			got = append(got, fmt.Sprint(at(a, "AttributeName"), " ", at(a, "AttributeType")))
		}
		for _, k := range at(p, "KeySchema").([]any) {
			got = append(got, fmt.Sprint(at(k, "AttributeName"), " ", at(k, "KeyType")))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", id, got, want)
		}
		if at(p, "BillingMode") != "PAY_PER_REQUEST" || at(p, "GlobalSecondaryIndexes") != nil {
			t.Errorf("%s: %v", id, p)
		}
		if at(p, "TimeToLiveSpecification", "AttributeName") != "ttl" || at(p, "TimeToLiveSpecification", "Enabled") != true {
			t.Errorf("%s: TTL %v", id, at(p, "TimeToLiveSpecification"))
		}
	}
}

// TestKeys: made by a function, so that no template, change set or event shows them.
func TestKeys(t *testing.T) {
	t.Parallel()
	tmpl := load(t, map[string]string{"KeysGeneration": "3", "Notices": "true", "Streaming": "true"})
	k := tmpl.resource("Keys")
	if at(k.properties, "ServiceToken") != "arn:KeysFunction" || fmt.Sprint(at(k.properties, "Generation")) != "3" {
		t.Errorf("keys: %v", k.properties)
	}
	if at(k.properties, "ServiceTimeout") == nil {
		t.Error("a keys function that fails would keep the deployment waiting for an hour")
	}
	name := at(k.properties, "Parameter")
	for id := range tmpl.resources("AWS::Serverless::Function") {
		got, told := environment(tmpl, id)["CULVERT_KEYS_PARAMETER"]
		switch {
		case id == "ProcessorFunction" || id == "NoticesFunction":
			if told {
				t.Errorf("%s has no use for the keys, and is told where they are", id)
			}
		case got != name:
			t.Errorf("%s reads the keys from %q, and they are in %v", id, got, name)
		}
	}
	for id, r := range tmpl.resources("") {
		if strings.HasPrefix(r.kind, "AWS::SecretsManager::") || r.kind == "AWS::SSM::Parameter" {
			t.Errorf("%s is a %s: that costs money, or shows the keys", id, r.kind)
		}
	}
}

// TestBucket: private, only over TLS, and empty after a day.
func TestBucket(t *testing.T) {
	t.Parallel()
	if n := len(load(t, nil).resources("AWS::S3::Bucket")); n != 0 {
		t.Errorf("%d buckets without being asked", n)
	}
	tmpl := load(t, map[string]string{"Bucket": "true"})
	p := tmpl.resource("BodiesBucket").properties
	for _, block := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
		if at(p, "PublicAccessBlockConfiguration", block) != true {
			t.Errorf("%s is not set", block)
		}
	}
	rule := at(p, "LifecycleConfiguration", "Rules").([]any)[0]
	if at(rule, "Status") != "Enabled" || at(rule, "ExpirationInDays") != 1 || at(rule, "Prefix") != nil {
		t.Errorf("life cycle %v", rule)
	}
	policy := at(tmpl.resource("BodiesBucketPolicy").properties, "PolicyDocument", "Statement").([]any)[0]
	if at(policy, "Effect") != "Deny" || at(policy, "Principal") != "*" || at(policy, "Condition", "Bool", "aws:SecureTransport") != "false" ||
		fmt.Sprint(at(policy, "Resource")) != "[arn:BodiesBucket arn:BodiesBucket/*]" {
		t.Errorf("bucket policy %v", policy)
	}
}

// TestDashboardAndAlarms: the names are those that the program counts under.
func TestDashboardAndAlarms(t *testing.T) {
	t.Parallel()
	tmpl := load(t, everything())
	namespace := environment(tmpl, "PublicFunction")["CULVERT_METRICS_NAMESPACE"]

	var board struct {
		Widgets []struct {
			Type       string
			Properties struct {
				Title   string
				Region  string
				Metrics [][]any
			}
		}
	}
	text := at(tmpl.resource("DashboardPage").properties, "DashboardBody").(string)
	if err := json.Unmarshal([]byte(text), &board); err != nil {
		t.Fatalf("the dashboard is no JSON: %v", err)
	}
	shown := make(map[string]bool)
	for _, w := range board.Widgets {
		if w.Properties.Region != region {
			t.Errorf("%q shows the region %q", w.Properties.Title, w.Properties.Region)
		}
		for _, m := range w.Properties.Metrics {
			if len(m) > 4 && m[0] == namespace {
				shown[m[1].(string)+" "+m[3].(string)] = true
				if m[2] != "Function" {
					t.Errorf("%v has the dimension %v", m[1], m[2])
				}
			} else if len(m) < 2 || !strings.HasPrefix(fmt.Sprint(m[0]), "AWS/") {
				t.Errorf("%q shows %v", w.Properties.Title, m)
			}
		}
	}
	for _, want := range []string{
		"Requests public", "Requests stream", "WaitMs public", "Pushed public", "Stored public", "BytesIn public", "BytesOut public", "Status5xx public",
		"Refused agents", "Gone public", "Actions processor", "ActionsFailed processor", "Notices notices", "NoticesDropped notices", "NoticesFailed notices",
	} {
		if !shown[want] {
			t.Errorf("the dashboard lacks %s", want)
		}
	}

	alarms := tmpl.resources("AWS::CloudWatch::Alarm")
	for id, a := range alarms {
		if at(a.properties, "TreatMissingData") != "notBreaching" {
			t.Errorf("%s goes off while nobody uses the backend", id)
		}
		if fmt.Sprint(at(a.properties, "AlarmActions")) != "[ref:AlarmTopic]" {
			t.Errorf("%s tells nobody", id)
		}
		if ns := at(a.properties, "Namespace"); ns != nil && ns != namespace && !strings.HasPrefix(ns.(string), "AWS/") {
			t.Errorf("%s watches %v", id, ns)
		}
	}
	// Each watches one metric, and ten metrics are free. The README says what more cost.
	usual := map[string]string{"AccountConcurrency": "1000"} // deploy/deploy finds out
	for want, more := range map[int]map[string]string{10: {}, 11: {"Streaming": "true"}, 13: {"Notices": "true"}} {
		maps.Copy(more, usual)
		if n := len(load(t, more).resources("AWS::CloudWatch::Alarm")); n != want {
			t.Errorf("%d alarms with %v, want %d", n, more, want)
		}
	}
	for _, id := range []string{
		"AgentsThrottledAlarm", "AgentsLimitAlarm", "RefusedAlarm", "ConcurrencyAlarm", "RequestsAlarm",
		"ProcessorFailingAlarm", "NoticesFailingAlarm", "NotifyUserDeadAlarm", "NotifyConnectionDeadAlarm",
	} {
		if _, ok := alarms[id]; !ok {
			t.Errorf("there is no %s", id)
		}
	}
	if n := len(load(t, map[string]string{"Alarms": "false"}).resources("AWS::CloudWatch::Alarm")); n != 0 {
		t.Errorf("%d alarms although switched off", n)
	}
	quiet := load(t, nil)
	if text := at(quiet.resource("DashboardPage").properties, "DashboardBody").(string); !json.Valid([]byte(text)) || strings.Contains(text, "otices") {
		t.Errorf("without notices the dashboard is no JSON, or shows them:\n%s", text)
	}
	if _, ok := quiet.find("ConcurrencyAlarm"); ok {
		t.Error("an alarm on a limit that is not known")
	}
	if got := at(quiet.resource("PublicThrottledAlarm").properties, "AlarmActions"); got != nil {
		t.Errorf("an alarm tells %v, and nobody is named", got)
	}
}

func TestBudget(t *testing.T) {
	t.Parallel()
	if n := len(load(t, nil).resources("AWS::Budgets::Budget")); n != 0 {
		t.Errorf("%d budgets without being asked", n)
	}
	b := load(t, everything()).resource("Budget").properties
	if fmt.Sprint(at(b, "Budget", "BudgetLimit", "Amount")) != "10" || at(b, "Budget", "TimeUnit") != "MONTHLY" {
		t.Errorf("budget %v", b)
	}
	for _, n := range at(b, "NotificationsWithSubscribers").([]any) {
		if at(at(n, "Subscribers").([]any)[0], "Address") != "me@example.com" {
			t.Errorf("tells %v", n)
		}
	}
}
