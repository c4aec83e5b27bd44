package meter

import (
	"fmt"
	"io"
	"time"
)

// Usage is a number of operations that AWS would bill.
type Usage struct {
	HTTPRequests      int64 // of HTTP APIs, in units of 512 KB
	Messages          int64 // of WebSocket APIs, both ways, in units of 32 KB
	Managed           int64 // calls to @connections; billed by the messages that they send
	Connects          int64 // handshakes of WebSocket APIs, each billed as a message
	ConnectionMinutes int64 // of connections that have ended
	Invocations       int64
	Billed            time.Duration // of invocations
	GBSeconds         float64
	ReadUnits         float64 // of DynamoDB, on demand
	WriteUnits        float64
	Reads, Writes     int64 // the calls behind the units
	Puts, Gets        int64 // of S3
	QueueRequests     int64 // of SQS, in units of 64 KB; polls that find nothing are requests, too
	Parameters        int64 // calls to the Parameter Store: free in its standard tier
	LogBytes          int64
}

// Sub is what was used since an earlier time.
func (u Usage) Sub(earlier Usage) Usage {
	return Usage{
		HTTPRequests: u.HTTPRequests - earlier.HTTPRequests, Messages: u.Messages - earlier.Messages, Managed: u.Managed - earlier.Managed,
		Connects: u.Connects - earlier.Connects, ConnectionMinutes: u.ConnectionMinutes - earlier.ConnectionMinutes,
		Invocations: u.Invocations - earlier.Invocations, Billed: u.Billed - earlier.Billed, GBSeconds: u.GBSeconds - earlier.GBSeconds,
		ReadUnits: u.ReadUnits - earlier.ReadUnits, WriteUnits: u.WriteUnits - earlier.WriteUnits, Reads: u.Reads - earlier.Reads, Writes: u.Writes - earlier.Writes,
		Puts: u.Puts - earlier.Puts, Gets: u.Gets - earlier.Gets,
		QueueRequests: u.QueueRequests - earlier.QueueRequests, Parameters: u.Parameters - earlier.Parameters, LogBytes: u.LogBytes - earlier.LogBytes,
	}
}

// Prices are in US dollars, for one of a thing.
type Prices struct {
	HTTPRequest, Message, ConnectionMinute float64
	Invocation, GBSecond                   float64
	ReadUnit, WriteUnit                    float64
	Put, Get                               float64
	QueueRequest                           float64
	LogGB                                  float64
}

// USEast1 are the prices of the first tiers in us-east-1, Lambda on arm64, without
// any free tier and without traffic to the internet.
func USEast1() Prices {
	const million = 1e-6
	return Prices{
		HTTPRequest: 1.00 * million, Message: 1.00 * million, ConnectionMinute: 0.25 * million,
		Invocation: 0.20 * million, GBSecond: 0.0000133334,
		ReadUnit: 0.125 * million, WriteUnit: 0.625 * million,
		Put: 5 * million, Get: 0.40 * million,
		QueueRequest: 0.40 * million,
		LogGB:        0.50,
	}
}

// Line is one row of a report.
type Line struct {
	What    string
	Count   float64
	Dollars float64
}

// Report says what the usage costs. Logs are apart: they are a matter of the log
// level and the retention, not of how requests are carried.
type Report struct {
	Lines   []Line
	Dollars float64 // of all lines
	Logs    Line
}

// Report prices the usage.
func (u Usage) Report(p Prices) Report {
	line := func(what string, count, price float64) Line { return Line{what, count, count * price} }
	r := Report{
		Lines: []Line{
			line("HTTP API requests (512 KB)", float64(u.HTTPRequests), p.HTTPRequest),
			line("WebSocket messages (32 KB)", float64(u.Messages+u.Connects), p.Message),
			line("WebSocket connection minutes", float64(u.ConnectionMinutes), p.ConnectionMinute),
			line("Lambda invocations", float64(u.Invocations), p.Invocation),
			line("Lambda GB-seconds", u.GBSeconds, p.GBSecond),
			line("DynamoDB write units", u.WriteUnits, p.WriteUnit),
			line("DynamoDB read units", u.ReadUnits, p.ReadUnit),
			line("S3 PUT", float64(u.Puts), p.Put),
			line("S3 GET", float64(u.Gets), p.Get),
			line("SQS requests (64 KB)", float64(u.QueueRequests), p.QueueRequest),
		},
		Logs: line("CloudWatch Logs GB", float64(u.LogBytes)/1e9, p.LogGB),
	}
	for _, l := range r.Lines {
		r.Dollars += l.Dollars
	}
	return r
}

// Per scales the usage of some requests to that of others, and prices it.
func (u Usage) Per(requests, of float64, p Prices) Report {
	r := u.Report(p)
	scale := of / requests
	for i := range r.Lines {
		r.Lines[i].Count *= scale
		r.Lines[i].Dollars *= scale
	}
	r.Dollars *= scale
	r.Logs.Count *= scale
	r.Logs.Dollars *= scale
	return r
}

// WriteTo writes the report as a table.
func (r Report) WriteTo(w io.Writer) (int64, error) {
	var total int64
	row := func(format string, args ...any) error {
		n, err := fmt.Fprintf(w, format, args...)
		total += int64(n)
		return err
	}
	decimals := 4
	if r.Dollars < 0.1 {
		decimals = 7 // of a few requests
	}
	for _, l := range r.Lines {
		if l.Count == 0 {
			continue
		}
		if err := row("  %-30s %16.2f  $%12.*f\n", l.What, l.Count, decimals, l.Dollars); err != nil {
			return total, err
		}
	}
	if err := row("  %-30s %16s  $%12.*f\n", "in all", "", decimals, r.Dollars); err != nil {
		return total, err
	}
	return total, row("  %-30s %16.6f  $%12.*f\n", r.Logs.What+", apart", r.Logs.Count, decimals, r.Logs.Dollars)
}
