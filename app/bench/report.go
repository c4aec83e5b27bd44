package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// report writes Markdown. The first error of its writer is kept.
type report struct {
	samples *samples
	out     io.Writer
	err     error
}

func (r *report) print(format string, args ...any) {
	if _, err := fmt.Fprintf(r.out, format, args...); r.err == nil {
		r.err = err
	}
}

func (r *report) machine(m *machine, quick bool) {
	version := ""
	if m.Version != "" {
		version = " (" + m.Version + ")"
	}
	r.print("Culvert%s, built with %s, on %s, %d processors, Linux %s; everything on loopback.\n", version, m.Go, m.Processor, m.Cores, m.Kernel)
	r.print("Medians over rounds, with (least–most); × is a multiple of the same figure of two hops in the same round.\n")
	if quick {
		r.print("\n**A quick run: the figures mean nothing, and large bodies have 16 MB instead of 1 GB.**\n")
	}
}

// table writes one. Columns but the first so many are figures.
func (r *report) table(title string, words int, head []string, rows [][]string) {
	r.print("\n### %s\n\n| %s |\n|", title, strings.Join(head, " | "))
	for i := range head {
		if i < words {
			r.print(" --- |")
		} else {
			r.print(" ---: |")
		}
	}
	r.print("\n")
	for _, row := range rows {
		r.print("| %s |\n", strings.Join(row, " | "))
	}
}

// disturbance says how far the figures can be trusted.
func (r *report) disturbance(took time.Duration) {
	var shares []float64
	for _, s := range *r.samples {
		if v, ok := s.Values[othersValue]; ok {
			shares = append(shares, v)
		}
	}
	s := spreadOf(shares)
	high := 0
	for _, share := range shares {
		if share > disturbed {
			high++
		}
	}
	r.print("\nTaken in %s. Others used %.0f %% of the machine meanwhile (median; at most %.0f %%, more than %.0f %% in %d of %d measurements).\n",
		took.Round(time.Second), 100*s.median, 100*s.most, 100*disturbed, high, s.n)
}

// cell is a median with its range.
func (s spread) cell(digits int) string {
	if s.n == 0 {
		return "–"
	}
	text := number(s.median, digits)
	if s.n > 1 {
		text += fmt.Sprintf(" (%s–%s)", number(s.least, digits), number(s.most, digits))
	}
	return text
}

// number has its thousands apart.
func number(v float64, digits int) string {
	text := fmt.Sprintf("%.*f", digits, v)
	whole, rest, _ := strings.Cut(text, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		if whole = whole[1:]; strings.Trim(text, "-0.") != "" {
			sign = "−"
		}
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		whole += "." + rest
	}
	return sign + whole
}

// plainCell is the median alone.
func (s spread) plainCell(digits int) string {
	if s.n == 0 {
		return "–"
	}
	return number(s.median, digits)
}

// rows are what was asked of a target, the fewest first.
func (all samples) rows(section, target string) (rows []string) {
	for _, s := range all {
		if s.Section == section && s.Target == target && !slices.Contains(rows, s.Row) {
			rows = append(rows, s.Row)
		}
	}
	slices.SortStableFunc(rows, func(a, b string) int { return leading(a) - leading(b) })
	return rows
}

// leading is the number that a row's name begins with.
func leading(row string) (n int) {
	_, _ = fmt.Sscanf(row, "%d", &n) // 0 without one
	return n
}
