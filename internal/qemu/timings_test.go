//go:build linux

package qemu

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSessionTimings(t *testing.T) {
	for _, tt := range []struct {
		name    string
		unasked bool
		send    string
		records []string
		report  string
		arrived bool
	}{
		{name: "nothing"},
		{
			name:    "a report",
			send:    "kmsg 6,1,0,-;Linux version\nkmsg 6,2,10,-;a b\ntimings {\"version\":1}\n",
			records: []string{"6,1,0,-;Linux version", "6,2,10,-;a b"}, report: `{"version":1}`, arrived: true,
		},
		{
			name:    "the first counts",
			send:    "kmsg a\ntimings {1}\nkmsg b\ntimings {2}\n",
			records: []string{"a"}, report: "{1}", arrived: true,
		},
		{
			name:    "too long a line is dropped",
			send:    "kmsg " + strings.Repeat("x", maxTimings) + "\ntimings " + strings.Repeat("y", maxTimings) + "\nkmsg a\n",
			records: []string{"a"},
		},
		{
			name:    "longer than a status line",
			send:    "timings " + strings.Repeat("y", 3*maxLine) + "\n",
			report:  strings.Repeat("y", 3*maxLine),
			arrived: true,
		},
		{name: "nobody has asked", unasked: true, send: "kmsg a\ntimings {}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := startFake(t.Context(), t, Session{Timings: !tt.unasked})
			g.up()
			g.send(g.control, "%s", tt.send)
			g.send(g.control, "exit 4 0 0\n")
			res, err := g.result()
			if res.Status != 4 || err != nil {
				t.Errorf("result %+v, %v", res, err)
			}
			if (res.Timings == nil) != tt.unasked {
				t.Fatalf("timings %+v", res.Timings)
			}
			if tt.unasked {
				return
			}
			got := *res.Timings
			if diff := cmp.Diff(tt.records, got.Records); diff != "" || string(got.Report) != tt.report || got.Arrived.IsZero() == tt.arrived {
				t.Errorf("report %.100q, arrived %v, records (-want +got):\n%s", got.Report, got.Arrived, diff)
			}
			if got.PowerOn.IsZero() || got.Gone.Before(got.PowerOn) || tt.arrived && (got.Arrived.Before(got.PowerOn) || got.Gone.Before(got.Arrived)) {
				t.Errorf("times not in order: %v, %v, %v", got.PowerOn, got.Arrived, got.Gone)
			}
		})
	}
}

// TestTimingsAreBounded sends more than a host should keep.
func TestTimingsAreBounded(t *testing.T) {
	var l timingsLog
	record := "kmsg " + strings.Repeat("x", 1000)
	for i := range 2 * maxLog / 1000 {
		if !l.take(record) {
			t.Fatalf("record %d is not taken", i)
		}
	}
	for range maxLog {
		l.take("kmsg ")
	}
	size := 0
	for _, r := range l.got.Records {
		size += len(r) + 16
	}
	if size > maxLog || size < maxLog/2 {
		t.Errorf("%d bytes are kept, want at most %d", size, maxLog)
	}
	if !l.take("timings {}") || string(l.got.Report) != "{}" {
		t.Errorf("after a long log: report %q", l.got.Report)
	}
	if l.take("exit 1 2 3") || l.take("") || l.take(fmt.Sprint("timing", " x")) {
		t.Error("other lines are taken")
	}
}
