package timings

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func at(d time.Duration) *Seconds { s := Seconds(d); return &s }

func TestParseGuest(t *testing.T) {
	const in = `{"version":1,"release":"6.1","init":0.5,"now":1.234567,
		"stages":[{"name":"early","start":0.5,"end":0.6},{"name":"network","start":0.7}],
		"waits":[{"for":"the\nnetwork\u001b[2J","start":0.6,"end":0.7,"error":"no\tcarrier "}],
		"modules":[{"name":"virtio","bytes":12,"start":5e-1,"end":0.5000004}]}`
	const ms = time.Millisecond
	want := Guest{
		Version: 1, Release: "6.1", Init: Seconds(500 * ms), Now: Seconds(1234567 * time.Microsecond),
		Stages:  []Stage{{"early", "", Span{Seconds(500 * ms), at(600 * ms)}}, {"network", "", Span{Start: Seconds(700 * ms)}}},
		Waits:   []Wait{{"the network?[2J", "no carrier", Span{Seconds(600 * ms), at(700 * ms)}}},
		Modules: []Module{{"virtio", 12, Span{Seconds(500 * ms), at(500 * ms)}}},
	}
	got, err := ParseGuest([]byte(in))
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("ParseGuest: %v (-want +got):\n%s", err, diff)
	}
}

func TestParseGuestRefuses(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", ``, "unexpected end"},
		{"no JSON", `boot`, "invalid character"},
		{"no version", `{"now":1}`, "not of version 1"},
		{"a later version", `{"version":2,"other":1}`, "not of version 1"},
		{"a field that is not known", `{"version":1,"colour":1}`, `unknown field "colour"`},
		{"a second object", `{"version":1}{}`, "invalid character"},
		{"a negative time", `{"version":1,"now":-1}`, `"-1" is no time`},
		{"a time that is text", `{"version":1,"now":"1"}`, "is no time"},
		{"a time without end", `{"version":1,"now":1e300}`, `"1e300" is no time`},
		{"not a number", `{"version":1,"now":NaN}`, "invalid character"},
		{"init after the report", `{"version":1,"now":1,"init":2}`, "init starts after"},
		{"a stage that ends before its start", `{"version":1,"now":9,"stages":[{"name":"a","start":2,"end":1}]}`, "stage a: its times are not in order"},
		{"a wait after the report", `{"version":1,"now":1,"waits":[{"for":"b","start":2}]}`, "wait for b: its times are not in order"},
		{"a module that ends after the report", `{"version":1,"now":1,"modules":[{"name":"c","start":0,"end":2}]}`, "module c: its times are not in order"},
		{"a module of less than nothing", `{"version":1,"modules":[{"name":"c","bytes":-1,"start":0}]}`, "module c: -1 bytes"},
		{"too many", `{"version":1,"modules":[{"start":0}` + strings.Repeat(`,{"start":0}`, 5000) + `]}`, "5001 entries"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParseGuest([]byte(tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ParseGuest(%.80s) = %v, want an error with %q", tt.in, err, tt.want)
			}
		})
	}
}

// TestLateEnds: what ends while the report is made is no mistake.
func TestLateEnds(t *testing.T) {
	g, err := ParseGuest([]byte(`{"version":1,"now":2,"stages":[{"name":"a","start":1,"end":2.00001}],"modules":[{"name":"b","start":2.00002}]}`))
	if want := Seconds(2000020 * time.Microsecond); g.Now != want || err != nil {
		t.Errorf("now is %v, want %v; %v", g.Now, want, err)
	}
}

func TestLongTextsAreCut(t *testing.T) {
	g, err := ParseGuest([]byte(`{"version":1,"release":"` + strings.Repeat("ü", 2*maxText) + `"}`))
	if n := len([]rune(g.Release)); n != maxText || err != nil {
		t.Errorf("a release of %d characters, %v", n, err)
	}
}

func TestSecondsJSON(t *testing.T) {
	got, err := json.Marshal([]Seconds{0, Seconds(3 * time.Second), Seconds(1234567 * time.Microsecond)})
	if want := "[0.000000,3.000000,1.234567]"; string(got) != want || err != nil {
		t.Errorf("Marshal = %s, %v, want %s", got, err, want)
	}
}

func FuzzParseGuest(f *testing.F) {
	for _, name := range []string{"tiny", "cloud", "failed"} {
		f.Add([]byte(strings.Join(lines(f, name+".guest.json"), "")), 1.0)
	}
	f.Fuzz(func(t *testing.T, in []byte, arrived float64) {
		g, err := ParseGuest(in)
		if err != nil || !(arrived >= 0 && arrived < maxSeconds) {
			return
		}
		tl := Merge(Host{"tcg", powerOn, after(arrived), after(arrived), ""}, Marks{}, g)
		checkPicture(t, layout(tl))
		b, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseGuest(b); err != nil || !cmp.Equal(again, g) {
			t.Errorf("%s: again: %v\n%s", b, err, cmp.Diff(g, again))
		}
	})
}
