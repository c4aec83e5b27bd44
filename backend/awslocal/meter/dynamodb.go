package meter

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// DynamoDB is what to stand in front of.
type DynamoDB struct {
	Upstream *url.URL
	// AccessKeyID is what every call is signed on with: all callers see the tables
	// of this one key, and nobody else does.
	AccessKeyID     string
	Region, Account string // of ARNs
	Callers         Callers
	Client          *http.Client
	// Delay, if any, is how long a call takes longer than here.
	Delay func(operation string) time.Duration
}

// Bounds of a call. The service's own is 16 MB for batches; an item has 400 KB.
const maxDynamoBody = 16 << 20

// kindOf says whether an operation reads or writes items; others deal with tables.
func kindOf(operation string) (reading, writing bool) {
	switch operation {
	case "GetItem", "Query", "Scan", "BatchGetItem":
		return true, false
	case "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem":
		return false, true
	}
	return false, false
}

// DynamoDB stands in front of a DynamoDB: it asks what each call consumes, and knows
// whose call it is.
func (m *Meter) DynamoDB(d DynamoDB) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		function, known := d.Callers.signedBy(r)
		if !known {
			refuseCaller(w)
			return
		}
		operation, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_20120810.")
		if !ok || r.Method != http.MethodPost {
			refuse(w, http.StatusBadRequest, "UnknownOperationException", "no operation of DynamoDB was called")
			return
		}
		reading, writing := kindOf(operation)
		if !reading && !writing {
			refuse(w, http.StatusBadRequest, "AccessDeniedException", "functions of this stand-in read and write items, and nothing else: "+operation)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxDynamoBody))
		if err != nil {
			refuse(w, http.StatusRequestEntityTooLarge, "ValidationException", "the request is too large")
			return
		}
		body, tables, err := metered(body)
		if err != nil {
			refuse(w, http.StatusBadRequest, "SerializationException", "the request is no JSON object")
			return
		}
		for _, table := range tables {
			m.call(function, "dynamodb:"+operation, TableARN(d.Region, d.Account, table))
		}
		if d.Delay != nil && !sleep(r.Context(), d.Delay(operation)) {
			return
		}
		answer, err := d.ask(r, body)
		if err != nil {
			refuse(w, http.StatusServiceUnavailable, "InternalServerError", "DynamoDB does not answer")
			return
		}
		units := consumed(answer.body, answer.status)
		m.add(func(used *Usage) {
			if reading {
				used.Reads++
				used.ReadUnits += units
			} else {
				used.Writes++
				used.WriteUnits += units
			}
		})
		maps.Copy(w.Header(), answer.header)
		w.WriteHeader(answer.status)
		w.Write(answer.body)
	})
}

// TableARN is a table's.
func TableARN(region, account, table string) string {
	return "arn:aws:dynamodb:" + region + ":" + account + ":table/" + table
}

type dynamoAnswer struct {
	status int
	header http.Header
	body   []byte
}

func (d DynamoDB) ask(r *http.Request, body []byte) (*dynamoAnswer, error) {
	ctx, cancel := context.WithTimeout(r.Context(), 30*time.Second)
	defer cancel()
	again, err := http.NewRequestWithContext(ctx, http.MethodPost, d.Upstream.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	again.Header.Set("Content-Type", r.Header.Get("Content-Type"))
	again.Header.Set("X-Amz-Target", r.Header.Get("X-Amz-Target"))
	again.Header.Set("X-Amz-Date", r.Header.Get("X-Amz-Date"))
	again.Header.Set("Accept-Encoding", "identity")
	again.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s/%s/dynamodb/aws4_request, SignedHeaders=host, Signature=%064d",
		d.AccessKeyID, time.Now().UTC().Format("20060102"), d.Region, 0)) // DynamoDB Local verifies none
	got, err := d.Client.Do(again)
	if err != nil {
		return nil, err
	}
	defer got.Body.Close()
	text, err := io.ReadAll(io.LimitReader(got.Body, maxDynamoBody))
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	for _, name := range []string{"Content-Type", "X-Amzn-Requestid", "X-Amz-Crc32"} {
		if v := got.Header.Get(name); v != "" {
			header.Set(name, v)
		}
	}
	return &dynamoAnswer{got.StatusCode, header, text}, nil
}

// metered asks for the consumed capacity, unless the caller does, and names the tables.
func metered(body []byte) (_ []byte, tables []string, err error) {
	var in map[string]json.RawMessage
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, nil, err
	}
	if in == nil {
		return nil, nil, fmt.Errorf("null")
	}
	var asked string
	if err := json.Unmarshal(orNull(in["ReturnConsumedCapacity"]), &asked); err != nil {
		return nil, nil, err
	}
	if asked == "" || asked == "NONE" {
		in["ReturnConsumedCapacity"] = json.RawMessage(`"TOTAL"`)
	}
	var table string
	if err := json.Unmarshal(orNull(in["TableName"]), &table); err != nil {
		return nil, nil, err
	}
	if table != "" {
		tables = append(tables, table)
	}
	var batch map[string]json.RawMessage
	if err := json.Unmarshal(orNull(in["RequestItems"]), &batch); err != nil {
		return nil, nil, err
	}
	tables = append(tables, slices.Sorted(maps.Keys(batch))...)
	body, err = json.Marshal(in)
	return body, tables, err
}

func orNull(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return json.RawMessage("null")
	}
	return raw
}

// consumed is what a call cost. A write whose condition was not met costs what the
// item would have; the answer does not say how much, so it is counted by the item
// that is in the way, if the caller wanted to see it, and as one unit else.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html#write-operation-consumption
func consumed(answer []byte, status int) float64 {
	if status == http.StatusOK {
		var one struct {
			ConsumedCapacity struct{ CapacityUnits float64 }
		}
		if json.Unmarshal(answer, &one) == nil {
			return one.ConsumedCapacity.CapacityUnits
		}
		var several struct {
			ConsumedCapacity []struct{ CapacityUnits float64 }
		}
		units := 0.0
		if json.Unmarshal(answer, &several) == nil {
			for _, c := range several.ConsumedCapacity {
				units += c.CapacityUnits
			}
		}
		return units
	}
	var failed struct {
		Type string `json:"__type"`
		Item json.RawMessage
	}
	if json.Unmarshal(answer, &failed) != nil || !strings.HasSuffix(failed.Type, "ConditionalCheckFailedException") {
		return 0
	}
	return float64(max(1, (len(failed.Item)+1023)/1024))
}

// sleep waits; it returns false if the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
