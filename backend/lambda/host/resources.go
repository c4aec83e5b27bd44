package host

import (
	"net/url"
	"strings"
)

// function reads the name or the ARN of a Lambda function of the region; "" is none.
//
// https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
func (e *environment) function(name, region string) string {
	const example = "culvert-processor, or arn:aws:lambda:eu-west-1:123456789012:function:culvert-processor"
	value := e.word(name)
	if value == "" {
		return ""
	}
	parts := strings.Split(value, ":")
	valid := len(value) <= 256 && !strings.ContainsFunc(value, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !strings.ContainsRune("-_:$", c)
	})
	if len(parts) > 2 { // with one colon, it is a name and an alias
		valid = valid && (len(parts) == 7 || len(parts) == 8) && parts[0] == "arn" && parts[2] == "lambda" && parts[5] == "function"
	}
	if !valid {
		e.fail(name, "is %q: set it to a function's name or ARN, such as %s", clip(value), example)
		return ""
	}
	if len(parts) > 2 && region != "" && parts[3] != region {
		e.fail(name, "is a function of the region %s: it must be in this function's, %s", clip(parts[3]), clip(region))
		return ""
	}
	return value
}

// queue reads the ARN of an SQS queue.
func (e *environment) queue(name string) string {
	const example = "arn:aws:sqs:eu-west-1:123456789012:culvert-notify-user"
	value := e.required(name, "the queue's ARN, such as "+example)
	if value == "" {
		return ""
	}
	if parts := strings.Split(value, ":"); len(parts) != 6 || parts[0] != "arn" || parts[2] != "sqs" || parts[5] == "" {
		e.fail(name, "is %q: set it to the queue's ARN, such as %s", clip(value), example)
		return ""
	}
	return value
}

// queueURL reads the URL of the queue that has the ARN.
func (e *environment) queueURL(name, arn string) *url.URL {
	const example = "https://sqs.eu-west-1.amazonaws.com/123456789012/culvert-notify-connection"
	if e.required(name, "the queue's URL, such as "+example) == "" {
		return nil
	}
	u := e.secured(name, example, "https", "http")
	if u == nil {
		return nil
	}
	queue := u.Path[strings.LastIndexByte(u.Path, '/')+1:]
	if queue == "" || arn != "" && queue != arn[strings.LastIndexByte(arn, ':')+1:] {
		e.fail(name, "is the URL of another queue than the ARN beside it: set both to one queue's, such as %s", example)
		return nil
	}
	return u
}

// keySet reads where the keys are of those who sign tokens. A file is for a
// developer's machine: a function has none that anybody could change.
func (e *environment) keySet(name string, local bool) string {
	const example = "https://login.example.com/.well-known/jwks.json"
	value := e.word(name)
	if value == "" {
		return ""
	}
	if scheme, _, ok := strings.Cut(value, "://"); ok || !local {
		u, err := url.Parse(value)
		switch {
		case err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "":
			e.fail(name, "is no URL of keys: set it to one such as %s", example) // not quoted: it may hold a password
			return ""
		case scheme == "https" || scheme == "http" && isLoopback(u.Hostname()):
			return value
		}
		e.fail(name, "does not begin with https://: whoever could change the keys on their way could open tunnels; set it to one such as %s", example)
		return ""
	}
	return value
}
