package store

import (
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// item is one of DynamoDB's. What has the wrong type in it reads as zero.
type item map[string]types.AttributeValue

// keyID is the partition key of all tables, keyTTL the attribute by which DynamoDB
// deletes, in seconds since 1970.
const (
	keyID  = "id"
	keyTTL = "ttl"
)

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func flag(b bool) types.AttributeValue { return &types.AttributeValueMemberBOOL{Value: b} }

// millis stores a time, to the millisecond.
func millis(t time.Time) types.AttributeValue {
	if t.IsZero() {
		return number(0)
	}
	return number(t.UnixMilli())
}

// deadline stores a time to live. It is rounded up.
func deadline(t time.Time) types.AttributeValue {
	return number(t.Add(time.Second - 1).Unix())
}

func (i item) text(name string) string {
	v, _ := i[name].(*types.AttributeValueMemberS)
	if v == nil {
		return ""
	}
	return v.Value
}

func (i item) number(name string) int64 {
	v, _ := i[name].(*types.AttributeValueMemberN)
	if v == nil {
		return 0
	}
	n, _ := strconv.ParseInt(v.Value, 10, 64)
	return n
}

func (i item) flag(name string) bool {
	v, _ := i[name].(*types.AttributeValueMemberBOOL)
	return v != nil && v.Value
}

func (i item) time(name string) time.Time {
	if n := i.number(name); n != 0 {
		return time.UnixMilli(n)
	}
	return time.Time{}
}

// list reads what join wrote.
func list[T ~string](i item, name string) []T {
	s := i.text(name)
	if s == "" {
		return nil
	}
	var out []T
	for part := range strings.SplitSeq(s, ",") {
		out = append(out, T(part))
	}
	return out
}

// join stores short words without commas: smaller than DynamoDB's own lists.
func join[T ~string](words []T) types.AttributeValue {
	var b strings.Builder
	for n, word := range words {
		if n > 0 {
			b.WriteByte(',')
		}
		b.WriteString(string(word))
	}
	return text(b.String())
}

// expired: the item is one that DynamoDB has not got round to deleting.
func (i item) expired(now time.Time) bool {
	ttl := i.number(keyTTL)
	return ttl > 0 && now.Unix() >= ttl
}

// set fills in only what is not empty: attributes cost by their size.
func (i item) set(name string, v types.AttributeValue) item {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		if v.Value == "" {
			return i
		}
	case *types.AttributeValueMemberBOOL:
		if !v.Value {
			return i
		}
	}
	i[name] = v
	return i
}

func key(id string) map[string]types.AttributeValue {
	return map[string]types.AttributeValue{keyID: text(id)}
}
