package ssm

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
)

func client(t *testing.T) *ssm.Client {
	t.Helper()
	server := httptest.NewServer(New("us-east-1", "123456789012"))
	t.Cleanup(server.Close)
	return ssm.New(ssm.Options{
		Region: "us-east-1", BaseEndpoint: &server.URL, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
	})
}

// A parameter's life, as the SDK sees it.
func TestLife(t *testing.T) {
	t.Parallel()
	c, ctx := client(t), t.Context()
	name := aws.String("/culvert/local/keys")
	var missing *types.ParameterNotFound
	if _, err := c.GetParameter(ctx, &ssm.GetParameterInput{Name: name}); !errors.As(err, &missing) {
		t.Fatalf("before it is there: %v", err)
	}
	put := &ssm.PutParameterInput{Name: name, Value: aws.String("secret 1"), Type: types.ParameterTypeSecureString, Tier: types.ParameterTierStandard}
	made, err := c.PutParameter(ctx, put)
	if err != nil || made.Version != 1 {
		t.Fatalf("%+v, %v", made, err)
	}
	var exists *types.ParameterAlreadyExists
	if _, err := c.PutParameter(ctx, put); !errors.As(err, &exists) {
		t.Errorf("twice: %v", err)
	}
	put.Overwrite, put.Value = aws.Bool(true), aws.String("secret 2")
	if made, err = c.PutParameter(ctx, put); err != nil || made.Version != 2 {
		t.Errorf("overwritten: %+v, %v", made, err)
	}
	got, err := c.GetParameter(ctx, &ssm.GetParameterInput{Name: name, WithDecryption: aws.Bool(true)})
	if err != nil {
		t.Fatal(err)
	}
	p := got.Parameter
	if *p.Value != "secret 2" || p.Version != 2 || p.Type != types.ParameterTypeSecureString || p.LastModifiedDate.IsZero() ||
		*p.ARN != "arn:aws:ssm:us-east-1:123456789012:parameter/culvert/local/keys" {
		t.Errorf("got %+v", p)
	}
	// Who forgets to ask for decryption gets something else, and no error.
	got, err = c.GetParameter(ctx, &ssm.GetParameterInput{Name: name})
	if err != nil || strings.Contains(*got.Parameter.Value, "secret") {
		t.Errorf("not decrypted: %v, %v", got, err)
	}
	both, err := c.GetParameters(ctx, &ssm.GetParametersInput{Names: []string{*name, "none"}, WithDecryption: aws.Bool(true)})
	if err != nil || len(both.Parameters) != 1 || len(both.InvalidParameters) != 1 {
		t.Errorf("several: %+v, %v", both, err)
	}
	if _, err := c.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: name}); err != nil {
		t.Error(err)
	}
	if _, err := c.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: name}); !errors.As(err, &missing) {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	c, ctx := client(t), t.Context()
	if _, err := c.PutParameter(ctx, &ssm.PutParameterInput{Name: aws.String("text"), Value: aws.String("x"), Type: types.ParameterTypeString}); err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]ssm.PutParameterInput{
		"no value":      {Name: aws.String("a"), Value: aws.String(""), Type: types.ParameterTypeString},
		"no type":       {Name: aws.String("a"), Value: aws.String("x")},
		"too long":      {Name: aws.String("a"), Value: aws.String(strings.Repeat("x", maxValue+1)), Type: types.ParameterTypeString},
		"another tier":  {Name: aws.String("a"), Value: aws.String("x"), Type: types.ParameterTypeString, Tier: types.ParameterTierAdvanced},
		"AWS's name":    {Name: aws.String("/aws/x"), Value: aws.String("x"), Type: types.ParameterTypeString},
		"a blank":       {Name: aws.String("/a b"), Value: aws.String("x"), Type: types.ParameterTypeString},
		"half a path":   {Name: aws.String("a/b"), Value: aws.String("x"), Type: types.ParameterTypeString},
		"too deep":      {Name: aws.String(strings.Repeat("/a", 16)), Value: aws.String("x"), Type: types.ParameterTypeString},
		"another type":  {Name: aws.String("text"), Value: aws.String("x"), Type: types.ParameterTypeSecureString, Overwrite: aws.Bool(true)},
		"name too long": {Name: aws.String(strings.Repeat("a", maxName+1)), Value: aws.String("x"), Type: types.ParameterTypeString},
	} {
		var failed smithy.APIError
		if _, err := c.PutParameter(ctx, &in); !errors.As(err, &failed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.GetParameters(ctx, &ssm.GetParametersInput{Names: make([]string, maxNames+1)}); err == nil {
		t.Error("eleven names")
	}
	var failed smithy.APIError
	if _, err := c.DescribeParameters(ctx, &ssm.DescribeParametersInput{}); !errors.As(err, &failed) || failed.ErrorCode() != "UnknownOperationException" {
		t.Errorf("an operation that is not here: %v", err)
	}
}

// Reads have a rate, which all functions of an account share; writes have not, here.
func TestReadsAreThrottled(t *testing.T) {
	t.Parallel()
	store := New("us-east-1", "123456789012")
	if err := store.Set("keys", "secret"); err != nil {
		t.Fatal(err)
	}
	call := func(operation, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "AmazonSSM."+operation)
		w := httptest.NewRecorder()
		store.ServeHTTP(w, r)
		return w
	}
	store.reads.SetLimit(0) // as if all came at once
	for n := range readRate {
		operation, body := "GetParameter", `{"Name":"keys"}`
		if n%2 == 1 {
			operation, body = "GetParameters", `{"Names":["keys"]}`
		}
		if w := call(operation, body); w.Code != 200 {
			t.Fatalf("read %d: %d %s", n, w.Code, w.Body)
		}
	}
	if w := call("GetParameter", `{"Name":"keys"}`); w.Code != 400 || !strings.Contains(w.Body.String(), `"__type":"ThrottlingException"`) {
		t.Errorf("read %d of a second: %d %s", readRate+1, w.Code, w.Body)
	}
	if w := call("PutParameter", `{"Name":"keys","Value":"x","Overwrite":true}`); w.Code != 200 {
		t.Errorf("a write: %d %s", w.Code, w.Body)
	}
}

func TestNotTheProtocol(t *testing.T) {
	t.Parallel()
	store := New("us-east-1", "123456789012")
	for name, test := range map[string]struct {
		method, target, body string
		status               int
	}{
		"a browser":   {http.MethodGet, "", "", 404},
		"no target":   {http.MethodPost, "", "{}", 404},
		"no JSON":     {http.MethodPost, "AmazonSSM.GetParameter", "name=x", 400},
		"wrong types": {http.MethodPost, "AmazonSSM.GetParameter", `{"Name":1}`, 400},
		"too large":   {http.MethodPost, "AmazonSSM.PutParameter", `{"Value":"` + strings.Repeat("x", maxRequest) + `"}`, 413},
	} {
		r := httptest.NewRequest(test.method, "/", strings.NewReader(test.body))
		r.Header.Set("X-Amz-Target", test.target)
		w := httptest.NewRecorder()
		store.ServeHTTP(w, r)
		body, _ := io.ReadAll(w.Body)
		if w.Code != test.status || !strings.Contains(string(body), "__type") {
			t.Errorf("%s: %d %s", name, w.Code, body)
		}
	}
}
