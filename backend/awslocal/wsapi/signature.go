package wsapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Principals knows who may sign calls.
type Principals interface {
	// Credentials are the secrets that belong to an access key.
	Credentials(accessKeyID string) (aws.Credentials, bool)
	// Allowed reports whether the key's policies allow an action on a resource.
	Allowed(accessKeyID, action, resource string) bool
}

const (
	algorithm   = "AWS4-HMAC-SHA256"
	serviceName = "execute-api"
	dateFormat  = "20060102T150405Z"
	// clockSkew is how far a signature's time may be off.
	clockSkew = 5 * time.Minute
	// maxPresigned is the longest validity of a presigned request.
	maxPresigned = 7 * 24 * time.Hour
)

// refusal is an answer of API Gateway to a call that it does not let pass.
type refusal struct {
	status int
	// kind is the exception that SDKs make of it.
	kind    string
	message string
}

func (r *refusal) Error() string { return r.kind + ": " + r.message }

func forbidden(kind, message string) *refusal {
	return &refusal{http.StatusForbidden, kind, message}
}

// signature is what a request says about its signature, in the Authorization
// field or, presigned, in the query.
type signature struct {
	presigned                      bool
	accessKey, day, region, scoped string
	signedHeaders, value           string
	at                             time.Time
}

// authenticate says who signed the request (Signature Version 4). Without
// principals, a signature must be there, but nobody could tell whether it is true.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func (a *API) authenticate(r *http.Request, body []byte) (accessKey string, refused *refusal) {
	s, refused := parseSignature(r)
	if refused != nil {
		return "", refused
	}
	if a.cfg.Principals == nil {
		return s.accessKey, nil
	}
	if s.scoped != serviceName || s.region != a.cfg.Region || s.day != s.at.Format("20060102") {
		return "", forbidden("InvalidSignatureException",
			"Credential should be scoped to a valid region, correct service and the signature's day: "+a.cfg.Region+"/"+serviceName)
	}
	if refused := s.fresh(r, time.Now()); refused != nil {
		return "", refused
	}
	credentials, known := a.cfg.Principals.Credentials(s.accessKey)
	if !known {
		return "", forbidden("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	want, err := s.sign(r, body, credentials)
	if err != nil || subtle.ConstantTimeCompare([]byte(want), []byte(s.value)) != 1 {
		return "", forbidden("InvalidSignatureException",
			"The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method.")
	}
	return s.accessKey, nil
}

func parseSignature(r *http.Request) (*signature, *refusal) {
	s := &signature{}
	var credential, date string
	if query := r.URL.Query(); query.Has("X-Amz-Signature") {
		s.presigned = true
		credential, date = query.Get("X-Amz-Credential"), query.Get("X-Amz-Date")
		s.signedHeaders, s.value = query.Get("X-Amz-SignedHeaders"), query.Get("X-Amz-Signature")
	} else {
		fields, found := strings.CutPrefix(r.Header.Get("Authorization"), algorithm+" ")
		if !found {
			return nil, forbidden("MissingAuthenticationTokenException", "Missing Authentication Token")
		}
		for field := range strings.SplitSeq(fields, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
			switch name {
			case "Credential":
				credential = value
			case "SignedHeaders":
				s.signedHeaders = value
			case "Signature":
				s.value = value
			}
		}
		date = r.Header.Get("X-Amz-Date")
	}
	scope := strings.Split(credential, "/")
	at, err := time.Parse(dateFormat, date)
	if len(scope) != 5 || scope[0] == "" || scope[4] != "aws4_request" || s.value == "" || s.signedHeaders == "" || err != nil {
		return nil, forbidden("IncompleteSignatureException", "The request signature is incomplete: Credential, SignedHeaders, Signature and X-Amz-Date are needed")
	}
	s.accessKey, s.day, s.region, s.scoped, s.at = scope[0], scope[1], scope[2], scope[3], at
	return s, nil
}

func (s *signature) fresh(r *http.Request, now time.Time) *refusal {
	valid := clockSkew
	if s.presigned {
		seconds, err := strconv.Atoi(r.URL.Query().Get("X-Amz-Expires"))
		if err != nil || seconds < 1 || time.Duration(seconds)*time.Second > maxPresigned {
			return forbidden("IncompleteSignatureException", "X-Amz-Expires must be between 1 and 604800 seconds")
		}
		valid = time.Duration(seconds) * time.Second
	}
	if age := now.Sub(s.at); age > valid || age < -clockSkew {
		return forbidden("InvalidSignatureException", "Signature expired or not yet valid: signed at "+s.at.Format(dateFormat)+", now "+now.UTC().Format(dateFormat))
	}
	return nil
}

// sign makes the signature that the request would have if these credentials had signed it.
func (s *signature) sign(r *http.Request, body []byte, credentials aws.Credentials) (string, error) {
	again := &http.Request{Method: r.Method, URL: cloneURL(r.URL), Host: r.Host, Header: http.Header{}}
	for name := range strings.SplitSeq(s.signedHeaders, ";") {
		switch name {
		case "host":
		case "content-length":
			again.ContentLength = r.ContentLength
		default:
			if values := r.Header.Values(name); len(values) > 0 {
				again.Header[http.CanonicalHeaderKey(name)] = values
			}
		}
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableHeaderHoisting = true })
	ctx := context.Background()
	if s.presigned {
		query := again.URL.Query()
		query.Del("X-Amz-Signature")
		again.URL.RawQuery = query.Encode()
		signed, _, err := signer.PresignHTTP(ctx, credentials, again, hash, serviceName, s.region, s.at)
		if err != nil {
			return "", err
		}
		u, err := url.Parse(signed)
		if err != nil {
			return "", err
		}
		return u.Query().Get("X-Amz-Signature"), nil
	}
	if err := signer.SignHTTP(ctx, credentials, again, hash, serviceName, s.region, s.at); err != nil {
		return "", err
	}
	_, value, _ := strings.Cut(again.Header.Get("Authorization"), "Signature=")
	return value, nil
}

func cloneURL(u *url.URL) *url.URL {
	clone := *u
	return &clone
}
