package main

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// results is one run of the benchmarks.
type results struct {
	facts   map[string]string             // what was measured: "qemu" → "1:7.2+dfsg-7"
	metrics map[string]map[string]float64 // "Job1/rambox" → "ms-of-instructions" → 4.1
	passed  bool                          // all of it, to its end
}

var (
	resultLine = regexp.MustCompile(`^Benchmark(\S+?)(?:-\d+)?\s+\d+\t(.*)$`)
	factLine   = regexp.MustCompile(`^([a-z][a-z0-9-]*): (.*)$`)
)

// parse reads what go test -bench prints (golang.org/design/14313-benchmark-format).
func parse(text string) results {
	r := results{facts: map[string]string{}, metrics: map[string]map[string]float64{}}
	failed := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "FAIL"), strings.HasPrefix(line, "--- FAIL"), strings.HasPrefix(line, "panic:"):
			failed = true
		case strings.HasPrefix(line, "ok "):
			r.passed = true
		}
		if m := factLine.FindStringSubmatch(line); m != nil {
			r.facts[m[1]] = m[2]
		}
		if m := resultLine.FindStringSubmatch(line); m != nil {
			r.metrics[m[1]] = units(m[2])
		}
	}
	r.passed = r.passed && !failed
	return r
}

// units reads pairs of a value and its unit.
func units(text string) map[string]float64 {
	found := map[string]float64{}
	words := strings.Fields(text)
	for i := 0; i+1 < len(words); i += 2 {
		if v, err := strconv.ParseFloat(words[i], 64); err == nil {
			found[words[i+1]] = v
		}
	}
	return found
}

// value is one figure, if it was measured.
func (r results) value(name, unit string) (float64, bool) {
	v, ok := r.metrics[name][unit]
	return v, ok
}

// number writes a figure with three digits.
func number(v float64) string {
	switch {
	case v >= 100 || v >= 2 && v == math.Trunc(v): // the latter are counted
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// ratio writes how many times of ours a figure is.
func ratio(v, ours float64) string {
	if r := v / ours; r >= 10 {
		return strconv.FormatFloat(r, 'f', 0, 64) + "×"
	} else if r >= 0.95 {
		return strconv.FormatFloat(r, 'f', 1, 64) + "×"
	}
	return strconv.FormatFloat(v/ours, 'f', 2, 64) + "×"
}

// atMost writes a target as it was set.
func atMost(v float64) string { return "≤ " + strconv.FormatFloat(v, 'g', -1, 64) }
