package store

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Numbers of the parts of an answer. The first message of an answer is PartHead,
// its chunks are 1 to MaxChunk, or to MaxWholeChunk if it is no stream: more make no
// whole answer (wire.Assembly). What is no part of a body comes after them, so that
// whoever asks for the parts from some number on gets it in any case.
const (
	PartHead      = 0
	MaxWholeChunk = 1<<10 - 1
	MaxChunk      = 1 << 20
	// PartError is the message that ends an answer with an error.
	PartError = 1 << 30
	// PartRequest and the numbers after it are what the agent asks for.
	PartRequest = PartError + 1
)

const (
	attrPart    = "part"
	attrMessage = "message"

	// maxMessage is what an item takes, well within DynamoDB's 400 KB.
	maxMessage = 350 << 10
	// answerSlack is how much longer than its ticket a stored answer is kept: the one
	// who waits may be about to read it.
	answerSlack = time.Minute
	// maxAnswerLife bounds what a stream's ticket may ask for.
	maxAnswerLife = 20 * time.Minute
	// maxAnswers bounds what GetAnswers reads at once, in bytes.
	maxAnswers = 16 << 20
)

// Answer is one message of an agent, as it came.
type Answer struct {
	Part    int
	Message []byte
}

// PutAnswer stores one message of the answer key, which is of use until expires.
// The first one with its number stays; first says whether this was it. One that
// comes too late is not stored (ErrExpired).
func (s *Store) PutAnswer(ctx context.Context, id string, part int, message []byte, expires time.Time) (first bool, err error) {
	now := s.now()
	switch {
	case !now.Before(expires):
		return false, ErrExpired
	case len(message) > maxMessage:
		return false, ErrTooLarge
	}
	if last := now.Add(maxAnswerLife); expires.After(last) {
		expires = last
	}
	_, err = s.db.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.names.Answers,
		Item: item{
			keyID: text(id), attrPart: number(int64(part)), attrMessage: text(string(message)),
			keyTTL: deadline(expires.Add(answerSlack)),
		},
		ConditionExpression:      aws.String("attribute_not_exists(#id)"),
		ExpressionAttributeNames: map[string]string{"#id": keyID},
	})
	if lost(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("store answer: %w", err)
	}
	return true, nil
}

// Span is the parts from From on that are below Below, or all if Below is 0.
type Span struct{ From, Below int }

// From is all parts from the number on.
func From(part int) []Span { return []Span{{From: part}} }

// GetAnswers reads what is stored of the answer key in the spans, which must be in
// order, and apart. Whoever has some of the parts leaves them out: reading costs by the
// byte, and parts are large. It reads a few messages more than 16 MB at most; ask again
// for the rest.
func (s *Store) GetAnswers(ctx context.Context, id string, spans []Span, consistent bool) ([]Answer, error) {
	var answers []Answer
	size := 0
	for _, span := range spans {
		more, err := s.getSpan(ctx, id, span, consistent, maxAnswers-size)
		if err != nil {
			return nil, err
		}
		for _, a := range more {
			size += len(a.Message)
		}
		if answers = append(answers, more...); size > maxAnswers {
			break
		}
	}
	return answers, nil
}

// getSpan reads one span, until it has more than most bytes.
func (s *Store) getSpan(ctx context.Context, id string, span Span, consistent bool, most int) ([]Answer, error) {
	var answers []Answer
	now, size := s.now(), 0
	in := &dynamodb.QueryInput{
		TableName:                &s.names.Answers,
		ConsistentRead:           &consistent,
		KeyConditionExpression:   aws.String("#id = :id AND #part >= :from"),
		ExpressionAttributeNames: map[string]string{"#id": keyID, "#part": attrPart},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":id": text(id), ":from": number(int64(span.From)),
		},
	}
	if span.Below > 0 {
		in.KeyConditionExpression = aws.String("#id = :id AND #part BETWEEN :from AND :to")
		in.ExpressionAttributeValues[":to"] = number(int64(span.Below - 1))
	}
	for {
		out, err := s.db.Query(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		for _, raw := range out.Items {
			i := item(raw)
			if i.expired(now) {
				continue
			}
			message := i.text(attrMessage)
			size += len(message)
			answers = append(answers, Answer{Part: int(i.number(attrPart)), Message: []byte(message)})
		}
		if len(out.LastEvaluatedKey) == 0 || size > most {
			return answers, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}
