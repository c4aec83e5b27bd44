package wsapi

import (
	"fmt"
	"strings"
)

// Permission is a statement of a function's resource policy, as
// AWS::Lambda::Permission writes one. Without one that fits, API Gateway
// answers 500 and the function has no log of it.
type Permission struct {
	Action    string // lambda:InvokeFunction
	Principal string // apigateway.amazonaws.com
	// SourceArn is a pattern of arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/ROUTE; "" fits all.
	SourceArn string
}

// ExecuteARN is the ARN of something of an API: its stage and route ("prod/$connect"),
// its management ("prod/POST/@connections/ID"), or a pattern of them ("*/*").
func ExecuteARN(region, account, api, rest string) string {
	return fmt.Sprintf("arn:aws:execute-api:%s:%s:%s/%s", region, account, api, rest)
}

// arn is the ARN of something of this API.
func (a *API) arn(rest string) string {
	return ExecuteARN(a.cfg.Region, a.cfg.Account, a.cfg.ID, rest)
}

// permitted reports whether one of the permissions lets the API invoke the function for a route.
func permitted(permissions []Permission, arn string) bool {
	for _, p := range permissions {
		if (p.Action == "lambda:InvokeFunction" || p.Action == "lambda:*") &&
			p.Principal == "apigateway.amazonaws.com" && (p.SourceArn == "" || arnLike(p.SourceArn, arn)) {
			return true
		}
	}
	return false
}

// arnLike is the condition operator ArnLike: the six parts of an ARN are compared each
// by itself, with * for any characters (also slashes) and ? for one.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_ARN
func arnLike(pattern, arn string) bool {
	p, a := strings.SplitN(pattern, ":", 6), strings.SplitN(arn, ":", 6)
	if len(p) != 6 || len(a) != 6 {
		return false
	}
	for i := range p {
		if !wildcard(p[i], a[i]) {
			return false
		}
	}
	return true
}

func wildcard(pattern, s string) bool {
	star, mark := -1, 0 // the latest *, and where in s it was met
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, mark = i, j
			i++
		case i < len(pattern) && (pattern[i] == '?' || pattern[i] == s[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[i:], "*") == ""
}
