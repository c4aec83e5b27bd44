// Package lambda has no code of its own: below it are the rooms of the serverless
// backend. One visitor's request takes this way through them:
//
//   - event: what API Gateway or the Function URL sends becomes a neutral request
//   - host: hands it to whoever serves its kind, with the environment's clients of AWS
//   - visitors: finds the tunnel, writes the messages for its agent, waits, answers
//   - store: who holds which tunnel, in DynamoDB; also answers that nobody was there to take
//   - keys: the secrets with which everything is signed that comes back to us
//   - ticket: the request's ID, by which an answer finds the environment that waits
//   - blob: large bodies go by S3 instead of in messages
//   - post: brings the messages to the agent's WebSocket
//
// The agent's answer comes as an event of the other API:
//
//   - agents: checks what the agent says by its ticket, and passes it on
//   - waiter: the WebSocket on which the waiting environment gets it from there
//
// No room imports visitors, agents or host: the program, backend/cmd/lambda, puts
// them together. backend/awslocal runs it without an account.
package lambda
