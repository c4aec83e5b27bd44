package main

import (
	"errors"
	"fmt"
	"time"

	"culvert/backend/awslocal/meter"
)

// row is what a million requests may cost, as deploy/README.md documents it.
type row struct {
	dollars float64 // as documented, to the cent
	// units are the 32 KB that an answer is billed for, each time it is passed on; 0 where
	// the row has no sums of its own.
	units int64
}

// memory of the functions, in GB.
const memory = 128.0 / 1024

// agentsTime is what the row grants the execution that passes an answer on: $0.02 a million.
const agentsTime = 12 * time.Millisecond

// sum gives the row's operations for so many requests: one of the HTTP API; a message to
// the agent, and the answer, which comes in and is pushed; two executions, of which one
// lasts as long as the service takes; and a look-up at most, eventually consistent.
func (w *workload) sum(requests int64) (meter.Usage, bool) {
	if w.row.units == 0 {
		return meter.Usage{}, false
	}
	n := float64(requests)
	return meter.Usage{
		HTTPRequests: requests, Messages: requests * (1 + 2*w.row.units), Invocations: 2 * requests,
		GBSeconds: n * (w.wait + agentsTime).Seconds() * memory, Reads: requests, ReadUnits: n / 2,
	}, true
}

// may is the row's price to the cent's fraction: the documented ones are rounded.
func (w *workload) may() float64 {
	if sum, ok := w.sum(1); ok {
		return sum.Per(1, 1e6, meter.USEast1()).Dollars
	}
	return w.row.dollars
}

// modelled is what would have been used had no time passed but that of the service, of
// AWS's services as they are modelled, and of the functions' own work. What was measured
// holds besides the agent and the stand-ins, which share this machine's processors with
// the functions, and others that do.
func (r *result) modelled() (_ meter.Usage, ok bool) {
	busy := r.busy["public"] + r.busy["agents"]
	if busy <= 0 || r.requests == 0 {
		return r.used, false
	}
	w := r.workload
	// The one who waits is charged for the post to the agent, the gateway's call of the
	// other function, and its push; that one is charged for the push as well.
	each := w.wait + 3*posting + invoking + busy
	if w.bucket {
		each += putting + getting
	}
	used := r.used
	all := time.Duration(r.requests)*each + time.Duration(r.used.Reads)*reading + time.Duration(r.used.Writes)*writing
	used.GBSeconds = all.Seconds() * memory
	return used, true
}

// Slacks. Operations are counted, but a machine that stumbles makes an answer late, and
// what is late is asked for again: that may be one in a hundred. Time is measured while
// the agent, the stand-in for API Gateway and DynamoDB Local run on the same machine,
// which on AWS cost nobody Lambda's time: a fiftieth of the price. Of the price with the
// time modelled, only the functions' own work hangs on the machine, and is some
// thousandth of it.
const (
	slackCounted  = 1.01
	slackModelled = 1.001
	slackTime     = 1.02
)

// over says what of the result is more than the row has.
func (r *result) over() error {
	w := r.workload
	var errs []error
	if sum, ok := w.sum(int64(r.requests)); ok {
		for _, c := range []struct {
			what      string
			used, may float64
		}{
			{"requests of the HTTP API", float64(r.used.HTTPRequests), float64(sum.HTTPRequests)},
			{"messages", float64(r.used.Messages + r.used.Connects), float64(sum.Messages)},
			{"executions", float64(r.used.Invocations), float64(sum.Invocations)},
			{"read units", r.used.ReadUnits, sum.ReadUnits},
			{"calls of S3", float64(r.used.Puts + r.used.Gets), 0},
		} {
			if c.used > c.may*slackCounted {
				errs = append(errs, fmt.Errorf("%s: %.0f %s for %d requests, more than the row's %.0f", w.name, c.used, c.what, r.requests, c.may))
			}
		}
	}
	may := w.may()
	if used, ok := r.modelled(); ok {
		if dollars := used.Per(float64(r.requests), 1e6, meter.USEast1()).Dollars; dollars > may*slackModelled {
			errs = append(errs, fmt.Errorf("%s: with its time modelled, a million requests cost $%.3f, more than the row's $%.3f and %.1f %% of it", w.name, dollars, may, (slackModelled-1)*100))
		}
	}
	if most := may * slackTime; r.report.Dollars > most {
		errs = append(errs, fmt.Errorf("%s: a million requests cost $%.3f, more than the $%.3f that they may: the row's $%.3f, and %.0f %% for this machine", w.name, r.report.Dollars, most, may, (slackTime-1)*100))
	}
	return errors.Join(errs...)
}
