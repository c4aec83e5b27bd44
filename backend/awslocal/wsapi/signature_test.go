package wsapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/apigatewaymanagementapi"
	"github.com/google/go-cmp/cmp"
)

// principals knows two keys, of which one may do nothing.
type principals struct{}

func (principals) Credentials(key string) (aws.Credentials, bool) {
	switch key {
	case "AKIDPUBLIC", "AKIDPOOR":
		return aws.Credentials{AccessKeyID: key, SecretAccessKey: "secret of " + key, SessionToken: "session of " + key}, true
	}
	return aws.Credentials{}, false
}

func (principals) Allowed(key, action, resource string) bool {
	if key != "AKIDPUBLIC" {
		return false
	}
	switch action {
	case "execute-api:Invoke":
		return resource == ExecuteARN(region, account, apiID, "live/$connect")
	case "execute-api:ManageConnections":
		return arnLike(ExecuteARN(region, account, apiID, "live/POST/@connections/*"), resource)
	}
	return false
}

// waiters is an API as waiting functions use it.
func waiters(t *testing.T) *fixture {
	return start(t, func(c *Config) {
		c.Principals = principals{}
		c.Routes = map[string]Route{
			"$connect": {Mock: &Mock{Request: `{"statusCode":200}`}, IAM: true},
			"whoami":   {Mock: &Mock{Request: `{"statusCode":200}`, Response: `{"connectionId":"$context.connectionId"}`}, RouteResponse: true},
		}
	})
}

func emptyHash() string {
	sum := sha256.Sum256(nil)
	return hex.EncodeToString(sum[:])
}

func TestConnectWithIAM(t *testing.T) {
	t.Parallel()
	known := func(key string) aws.Credentials { c, _ := principals{}.Credentials(key); return c }
	forged := known("AKIDPUBLIC")
	forged.SecretAccessKey = "guessed"
	stolen := known("AKIDPUBLIC")
	stolen.SessionToken = "another session"
	unknown := aws.Credentials{AccessKeyID: "AKIDOTHER", SecretAccessKey: "x"}
	for name, test := range map[string]struct {
		credentials     aws.Credentials
		region, service string
		age             time.Duration
		tamper          func(r *http.Request)
		status          int
	}{
		"right":           {known("AKIDPUBLIC"), region, "execute-api", 0, nil, 101},
		"a little old":    {known("AKIDPUBLIC"), region, "execute-api", 4 * time.Minute, nil, 101},
		"with a query":    {known("AKIDPUBLIC"), region, "execute-api", 0, nil, 101},
		"too old":         {known("AKIDPUBLIC"), region, "execute-api", 6 * time.Minute, nil, 403},
		"of the future":   {known("AKIDPUBLIC"), region, "execute-api", -6 * time.Minute, nil, 403},
		"wrong secret":    {forged, region, "execute-api", 0, nil, 403},
		"another session": {stolen, region, "execute-api", 0, nil, 403},
		"unknown key":     {unknown, region, "execute-api", 0, nil, 403},
		"may not":         {known("AKIDPOOR"), region, "execute-api", 0, nil, 403},
		"another region":  {known("AKIDPUBLIC"), "us-west-2", "execute-api", 0, nil, 403},
		"another service": {known("AKIDPUBLIC"), region, "s3", 0, nil, 403},
		"another path":    {known("AKIDPUBLIC"), region, "execute-api", 0, func(r *http.Request) { r.URL.Path = "/" }, 403},
		"another query":   {known("AKIDPUBLIC"), region, "execute-api", 0, func(r *http.Request) { r.URL.RawQuery += "&more=1" }, 403},
		"another date": {known("AKIDPUBLIC"), region, "execute-api", 0, func(r *http.Request) {
			r.Header.Set("X-Amz-Date", time.Now().Add(time.Minute).UTC().Format(dateFormat))
		}, 403},
		"no signature":      {known("AKIDPUBLIC"), region, "execute-api", 0, func(r *http.Request) { r.Header.Del("Authorization"); r.URL.RawQuery = "" }, 403},
		"damaged signature": {known("AKIDPUBLIC"), region, "execute-api", 0, damage, 403},
		"incomplete": {known("AKIDPUBLIC"), region, "execute-api", 0, func(r *http.Request) {
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIDPUBLIC")
			r.URL.RawQuery = "X-Amz-Signature="
		}, 403},
		"fields not signed":   {known("AKIDPUBLIC"), region, "execute-api", 0, func(r *http.Request) { r.Header.Set("X-Added", "on the way") }, 101},
		"signed field differ": {known("AKIDPUBLIC"), region, "execute-api", 0, func(r *http.Request) { r.Header.Set("X-Signed", "b") }, 0},
	} {
		for _, presigned := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, presigned %v", name, presigned), func(t *testing.T) {
				t.Parallel()
				x := waiters(t)
				r, err := http.NewRequest("GET", "http://"+x.host+"/live", nil)
				if err != nil {
					t.Fatal(err)
				}
				if name == "with a query" {
					r.URL.RawQuery = "b=2&a=%20x"
				}
				r.Header.Set("X-Signed", "a")
				at := time.Now().Add(-test.age)
				want := test.status
				if presigned {
					query := r.URL.Query()
					query.Set("X-Amz-Expires", "300")
					r.URL.RawQuery = query.Encode()
					signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableHeaderHoisting = true })
					signed, _, err := signer.PresignHTTP(t.Context(), test.credentials, r, emptyHash(), test.service, test.region, at)
					if err != nil {
						t.Fatal(err)
					}
					if r.URL, err = url.Parse(signed); err != nil {
						t.Fatal(err)
					}
					if name == "another date" {
						want = 101 // the field is not what counts
					}
				} else if err := v4.NewSigner().SignHTTP(t.Context(), test.credentials, r, emptyHash(), test.service, test.region, at); err != nil {
					t.Fatal(err)
				}
				if want == 0 {
					want = 403
				}
				if test.tamper != nil {
					test.tamper(r)
				}
				_, resp, err := x.tryDial(r.URL.RequestURI(), r.Header)
				if resp == nil {
					t.Fatal(err)
				}
				if resp.StatusCode != want {
					t.Errorf("handshake answered %d, want %d", resp.StatusCode, want)
				}
			})
		}
	}
}

func damage(r *http.Request) {
	flip := func(s string) string {
		last := "0"
		if strings.HasSuffix(s, "0") {
			last = "1"
		}
		return s[:len(s)-1] + last
	}
	if a := r.Header.Get("Authorization"); a != "" {
		r.Header.Set("Authorization", flip(a))
		return
	}
	r.URL.RawQuery = flip(r.URL.RawQuery) // the signature is its end
}

func TestPresignedExpires(t *testing.T) {
	t.Parallel()
	c, _ := principals{}.Credentials("AKIDPUBLIC")
	for seconds, status := range map[string]int{"3600": 101, "60": 403, "604801": 403, "0": 403, "": 403, "x": 403} {
		x := waiters(t)
		r, err := http.NewRequest("GET", "http://"+x.host+"/live?X-Amz-Expires="+seconds, nil)
		if err != nil {
			t.Fatal(err)
		}
		signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), c, r, emptyHash(), "execute-api", region, time.Now().Add(-10*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(signed)
		if err != nil {
			t.Fatal(err)
		}
		if _, resp, err := x.tryDial(u.RequestURI(), nil); resp == nil || resp.StatusCode != status {
			t.Errorf("valid for %q s, 10 min old: %v, %v, want %d", seconds, resp, err, status)
		}
	}
}

// A function posts with the SDK and its own credentials; what its role does not
// allow is refused, whoever it is.
func TestManageWithIAM(t *testing.T) {
	t.Parallel()
	x := waiters(t)
	c, _ := principals{}.Credentials("AKIDPUBLIC")
	r, err := http.NewRequest("GET", "http://"+x.host+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := v4.NewSigner().SignHTTP(t.Context(), c, r, emptyHash(), "execute-api", region, time.Now()); err != nil {
		t.Fatal(err)
	}
	ws, _, err := x.tryDial("/live", r.Header)
	if err != nil {
		t.Fatal(err)
	}
	id := x.Connections()[0].ID
	invoke := Usage{API: apiID, Kind: Connected, Connection: id, Principal: "AKIDPUBLIC", Action: "execute-api:Invoke", Resource: ExecuteARN(region, account, apiID, "live/$connect"), Status: 101}
	if diff := cmp.Diff([]Usage{invoke}, x.used.of(Connected)); diff != "" {
		t.Error(diff)
	}
	client := func(key, secret, session string) *apigatewaymanagementapi.Client {
		return apigatewaymanagementapi.New(apigatewaymanagementapi.Options{
			BaseEndpoint: aws.String("http://" + x.host + "/live"), Region: region, Retryer: aws.NopRetryer{},
			Credentials: credentials.NewStaticCredentialsProvider(key, secret, session),
		})
	}
	post := func(c *apigatewaymanagementapi.Client) error {
		_, err := c.PostToConnection(context.Background(), &apigatewaymanagementapi.PostToConnectionInput{ConnectionId: &id, Data: []byte("pushed")})
		return err
	}
	own := client(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)
	if err := post(own); err != nil {
		t.Fatal(err)
	}
	if got := read(t, ws); got != "pushed" {
		t.Errorf("got %q", got)
	}
	_, err = own.GetConnection(t.Context(), &apigatewaymanagementapi.GetConnectionInput{ConnectionId: &id})
	wantKind(t, err, "ForbiddenException", 403) // its policy names POST only
	wantKind(t, post(client("AKIDPUBLIC", "guessed", c.SessionToken)), "InvalidSignatureException", 403)
	wantKind(t, post(client("AKIDOTHER", "x", "")), "UnrecognizedClientException", 403)
	wantKind(t, post(client("AKIDPOOR", "secret of AKIDPOOR", "session of AKIDPOOR")), "ForbiddenException", 403)

	want := []Usage{
		{API: apiID, Kind: Managed, Connection: id, Principal: "AKIDPUBLIC", Action: "execute-api:ManageConnections", Resource: ExecuteARN(region, account, apiID, "live/POST/@connections/"+id), Bytes: 6, Status: 200},
		{API: apiID, Kind: Managed, Connection: id, Principal: "AKIDPUBLIC", Action: "execute-api:ManageConnections", Resource: ExecuteARN(region, account, apiID, "live/GET/@connections/"+id), Status: 403},
	}
	got := x.used.of(Managed)[:2]
	got[1].Problem = ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A body that was changed on the way does not fit its signature.
func TestBodyIsSigned(t *testing.T) {
	t.Parallel()
	x := waiters(t)
	c, _ := principals{}.Credentials("AKIDPUBLIC")
	for body, kind := range map[string]string{"signed body": "GoneException", "another one": "InvalidSignatureException"} {
		sum := sha256.Sum256([]byte("signed body"))
		r, err := http.NewRequest("POST", "http://"+x.host+"/live/@connections/abc%3D", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := v4.NewSigner().SignHTTP(t.Context(), c, r, hex.EncodeToString(sum[:]), "execute-api", region, time.Now()); err != nil {
			t.Fatal(err)
		}
		resp, err := x.client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("X-Amzn-Errortype"); got != kind {
			t.Errorf("body %q: %s, want %s", body, got, kind)
		}
	}
}
