package main

import (
	"errors"
	"fmt"

	"culvert/backend/awslocal/meter"
)

// compare prints both designs, and says what costs too much.
func (b *bench) compare(ours, naive []result) (failed error) {
	fmt.Fprintf(b.out, "\nper million requests, us-east-1, Lambda 128 MB arm64, no free tier, without egress; logs apart\n")
	fmt.Fprintf(b.out, "measured: with Lambda's time as it was here; modelled: with that of the service, of AWS's services as above, and of the\n")
	fmt.Fprintf(b.out, "functions' own work; row: of deploy/README.md, summed, and as documented; naive: a plain design that stores and polls\n")
	fmt.Fprintf(b.out, "%-12s %10s %10s %18s %10s   %22s   %22s\n", "body", "measured", "modelled", "row", "naive", "added p50/p99 culvert", "added p50/p99 naive")
	for i, r := range ours {
		n, naiveTimes := "-", "-"
		if i < len(naive) {
			naiveTimes = "does not fit a message"
			if naive[i].requests > 0 {
				n = fmt.Sprintf("$%.2f", naive[i].report.Dollars)
				naiveTimes = fmt.Sprintf("%d / %d ms", naive[i].p50.Milliseconds(), naive[i].p99.Milliseconds())
			}
		}
		modelled := "-"
		if used, ok := r.modelled(); ok {
			modelled = fmt.Sprintf("$%.3f", used.Per(float64(r.requests), 1e6, meter.USEast1()).Dollars)
		}
		fmt.Fprintf(b.out, "%-12s %10s %10s %18s %10s   %22s   %22s\n", r.workload.name, fmt.Sprintf("$%.3f", r.report.Dollars), modelled,
			fmt.Sprintf("$%.3f ($%.2f)", r.workload.may(), r.workload.row.dollars), n, fmt.Sprintf("%d / %d ms", r.p50.Milliseconds(), r.p99.Milliseconds()), naiveTimes)
		failed = errors.Join(failed, r.over())
	}
	for _, r := range ours {
		b.operations(&r)
	}
	for _, r := range naive {
		if r.requests > 0 {
			fmt.Fprintf(b.out, "\nnaive, %s, %d requests counted, per million:\n", r.workload.name, r.requests)
			r.report.WriteTo(b.out)
		}
	}
	return failed
}

// operations prints what a million requests take, beside what the row has of it.
func (b *bench) operations(r *result) {
	fmt.Fprintf(b.out, "\nculvert, %s, %d requests counted; operations and dollars per million, and the row's:\n", r.workload.name, r.requests)
	var row *meter.Report
	if sum, ok := r.workload.sum(int64(r.requests)); ok {
		of := sum.Per(float64(r.requests), 1e6, meter.USEast1())
		row = &of
	}
	for i, l := range r.report.Lines {
		switch {
		case row != nil && (l.Count > 0 || row.Lines[i].Count > 0):
			fmt.Fprintf(b.out, "  %-30s %14.0f %14.0f   $%8.4f  $%8.4f\n", l.What, l.Count, row.Lines[i].Count, l.Dollars, row.Lines[i].Dollars)
		case row == nil && l.Count > 0:
			fmt.Fprintf(b.out, "  %-30s %14.0f %14s   $%8.4f\n", l.What, l.Count, "", l.Dollars)
		}
	}
	fmt.Fprintf(b.out, "  %-30s %14s %14s   $%8.4f  $%8.4f\n", "in all, as measured", "", "", r.report.Dollars, r.workload.may())
	if used, ok := r.modelled(); ok {
		of := used.Per(float64(r.requests), 1e6, meter.USEast1())
		fmt.Fprintf(b.out, "  %-30s %14s %14s   $%8.4f  $%8.4f\n", "in all, with time modelled", "", "", of.Dollars, r.workload.may())
	}
	n := float64(r.requests)
	fmt.Fprintf(b.out, "  time of each request: %.1f ms were billed", r.used.Billed.Seconds()*1e3/n)
	if used, ok := r.modelled(); ok {
		fmt.Fprintf(b.out, ", %.1f are modelled; public uses %.2f ms of a processor here, agents %.2f", used.GBSeconds/memory*1e3/n, ms(r.busy["public"]), ms(r.busy["agents"]))
	}
	fmt.Fprintf(b.out, "\n  %-30s %14.3f %14s   $%8.4f\n", "logs of functions (GB), apart", r.report.Logs.Count, "", r.report.Logs.Dollars)
}
