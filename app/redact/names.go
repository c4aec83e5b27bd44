package redact

import "strings"

// weight is how much a name says about the value.
type weight uint8

const (
	innocent weight = iota
	secret          // texts under this name are secrets; numbers are not ("max_tokens": 4096)
	grave           // numbers too ("pin": 1234)
)

// secretWords are parts of names. A name consists of words: "X-Hub-Signature-256",
// "clientSecret".
var secretWords = map[string]weight{
	"token": secret, "tokens": secret, "jwt": secret, "jws": secret, "jwe": secret, "bearer": secret,
	"signature": secret, "signatures": secret, "sig": secret, "hmac": secret,
	"authorization": secret, "cookie": secret, "cookies": secret, "setcookie": secret,
	"credential": secret, "credentials": secret, "apikey": secret, "apikeys": secret,
	"csrf": secret, "xsrf": secret, "csrfmiddlewaretoken": secret, "sessionid": secret, "jsessionid": secret, "phpsessid": secret,
	"privatekey": secret, "secretkey": secret, "accesskey": secret, "assertion": secret,
	"password": grave, "passwords": grave, "passwd": grave, "passphrase": grave, "passcode": grave, "pwd": grave, "userpass": grave, "dbpass": grave,
	"secret": grave, "secrets": grave, "otp": grave, "totp": grave, "cvv": grave, "cvc": grave, "cvv2": grave, "ssn": grave,
}

// secretEnds are the ends of words that have been run together ("accesstoken").
var secretEnds = []string{"token", "secret", "password", "passwd", "passphrase", "pwd", "apikey", "secretkey", "privatekey", "sessionid"}

// secretPairs are words that make a secret with the one before. Codes and numbers are
// so also where they are written as numbers.
var secretPairs = map[string]string{
	"key": " api access private secret subscription session auth authentication authorization functions function master " +
		"encryption signing shared account service admin host license client ",
	"id":       " session ",
	"code":     " device auth authorization verification recovery backup security confirmation mfa ",
	"codes":    " recovery backup ",
	"number":   " card cc ",
	"verifier": " code ",
}

// gravePairs are those of secretPairs that may be numbers.
var gravePairs = map[string]bool{"code": true, "codes": true, "number": true}

// secretWhole are names that are secret only if they have no other word.
var secretWhole = map[string]weight{"auth": secret, "pass": secret, "sid": secret, "pin": grave, "sessionkey": secret}

// aboutWords end names of what is about a secret, and is none ("token_type").
var aboutWords = map[string]bool{
	"type": true, "types": true, "endpoint": true, "url": true, "uri": true, "count": true, "counts": true, "limit": true,
	"expires": true, "expiry": true, "expiration": true, "expire": true, "at": true, "in": true, "usage": true, "length": true,
	"name": true, "policy": true, "hint": true, "method": true, "methods": true, "alg": true, "algorithm": true, "version": true, "required": true,
	"enabled": true, "valid": true, "status": true, "ttl": true, "format": true, "scope": true, "scopes": true, "timestamp": true,
	"used": true, "remaining": true, "details": true, "supported": true, "size": true, "symbol": true,
}

// openKeys are words of headers whose last word is "key", and that hold no secret.
var openKeys = map[string]bool{
	"websocket": true, "socket": true, "idempotency": true, "surrogate": true, "cache": true, "routing": true, "partition": true, "public": true, "request": true,
}

// headerEnds are last words of headers that hold a secret, which in a body would be
// about anything: "X-Session".
var headerEnds = map[string]bool{"auth": true, "authentication": true, "session": true}

// Name says whether a field of that name, in a query, a form or JSON, carries a
// secret.
func Name(key string) bool { return weigh(key) != innocent }

// Header says whether the value of a header of that name is a secret.
func Header(name string) bool {
	if weigh(name) != innocent {
		return true
	}
	words := wordsOf(name)
	switch n := len(words); {
	case n == 0:
		return false
	case n > 1 && words[n-1] == "key":
		return !openKeys[words[n-2]]
	case headerEnds[words[n-1]]:
		return true
	}
	return strings.EqualFold(name, "DPoP") || strings.EqualFold(name, "Cf-Access-Jwt-Assertion")
}

func weigh(name string) weight {
	if len(name) < 3 {
		return innocent // most names in JSON are short, and all are weighed
	}
	words := wordsOf(name)
	if len(words) == 0 {
		return innocent
	}
	last := words[len(words)-1]
	if aboutWords[last] && len(words) > 1 {
		return innocent
	}
	if len(words) == 1 && secretWhole[last] != innocent {
		return secretWhole[last]
	}
	most := innocent
	for i, word := range words {
		w := secretWords[word]
		if w == innocent && i > 0 {
			if firsts := secretPairs[word]; firsts != "" && strings.Contains(firsts, " "+words[i-1]+" ") {
				if w = secret; gravePairs[word] {
					w = grave
				}
			}
			if word == "pass" && i == len(words)-1 { // "smtpPass", but not "pass_rate"
				w = grave
			}
		}
		for _, end := range secretEnds {
			if w == innocent && strings.HasSuffix(word, end) {
				w = secretWords[end]
			}
		}
		most = max(most, w)
	}
	return most
}

// maxNameLength is the end of a name that is looked at: what is longer is none.
const maxNameLength = 128

// wordsOf are the words of a name, in lower case.
func wordsOf(name string) []string {
	name = name[max(0, len(name)-maxNameLength):]
	var room [2 * maxNameLength]byte
	lower := room[:0] // the words with spaces between
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c >= 0x80:
			lower = append(lower, c)
		case c >= 'A' && c <= 'Z':
			// A capital begins a word after a small letter, and before one: "clientSecret",
			// "JWTToken".
			if i > 0 && (isSmall(name[i-1]) || i+1 < len(name) && isSmall(name[i+1])) {
				lower = append(lower, ' ')
			}
			lower = append(lower, c|0x20)
		default:
			lower = append(lower, ' ')
		}
	}
	return strings.Fields(string(lower))
}

func isSmall(c byte) bool { return c >= 'a' && c <= 'z' }
