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
	var words nameWords
	words.split(name)
	if words.weigh(name) != innocent {
		return true
	}
	switch n := words.n; {
	case n == 0:
		return false
	case n > 1 && string(words.at(n-1)) == "key":
		return !openKeys[string(words.at(n-2))]
	case headerEnds[string(words.at(n-1))]:
		return true
	}
	return strings.EqualFold(name, "DPoP") || strings.EqualFold(name, "Cf-Access-Jwt-Assertion")
}

func weigh(name string) weight {
	var words nameWords
	words.split(name)
	return words.weigh(name)
}

func (w *nameWords) weigh(name string) weight {
	if len(name) < 3 || w.n == 0 {
		return innocent // most names in JSON are short, and all are weighed
	}
	last := w.at(w.n - 1)
	if w.n > 1 && aboutWords[string(last)] {
		return innocent
	}
	if w.n == 1 && secretWhole[string(last)] != innocent {
		return secretWhole[string(last)]
	}
	most := innocent
	for i := range w.n {
		word := w.at(i)
		weight := secretWords[string(word)]
		if weight == innocent && i > 0 {
			if firsts := secretPairs[string(word)]; firsts != "" && hasWord(firsts, w.at(i-1)) {
				if weight = secret; gravePairs[string(word)] {
					weight = grave
				}
			}
			if string(word) == "pass" && i == w.n-1 { // "smtpPass", but not "pass_rate"
				weight = grave
			}
		}
		for _, end := range secretEnds {
			if weight == innocent && len(word) > len(end) && string(word[len(word)-len(end):]) == end {
				weight = secretWords[end]
			}
		}
		most = max(most, weight)
	}
	return most
}

// hasWord looks for a word in a list of them, each between spaces.
func hasWord(list string, word []byte) bool {
	for w := range strings.FieldsSeq(list) {
		if w == string(word) {
			return true
		}
	}
	return false
}

// maxNameLength is the end of a name that is looked at: what is longer is none.
const maxNameLength = 128

// nameWords are the words of a name, in lower case. It needs no memory of its own: all
// names are weighed, of every exchange.
type nameWords struct {
	text [maxNameLength]byte
	span [maxNameLength]struct{ from, to uint8 } // of the words in text
	n    int
}

func (w *nameWords) at(i int) []byte { return w.text[w.span[i].from:w.span[i].to] }

func (w *nameWords) split(name string) {
	name = name[max(0, len(name)-maxNameLength):]
	for i := range len(name) {
		if name[i] >= 0x80 { // spaces that are not of ASCII part words, too
			name = strings.Join(strings.Fields(name), " ")
			break
		}
	}
	within := false // a word has begun, and not ended
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c >= 0x80:
		case c >= 'A' && c <= 'Z':
			// A capital begins a word after a small letter, and before one: "clientSecret",
			// "JWTToken".
			if i > 0 && (isSmall(name[i-1]) || i+1 < len(name) && isSmall(name[i+1])) {
				within = false
			}
			c |= 0x20
		default:
			within = false
			continue
		}
		if !within {
			within = true
			w.span[w.n].from = uint8(i)
			w.n++
		}
		w.text[i] = c
		w.span[w.n-1].to = uint8(i + 1)
	}
}

func isSmall(c byte) bool { return c >= 'a' && c <= 'z' }
