//go:build linux

package boot

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestSeconds(t *testing.T) {
	for _, tc := range []struct {
		d        time.Duration
		decimals int
		want     string
	}{
		{0, 6, "0.000000"},
		{1500 * time.Nanosecond, 6, "0.000001"},
		{512345678, 6, "0.512345"},
		{61*time.Second + 7*time.Millisecond, 3, "61.007"},
		{-time.Second, 3, "0.000"},
	} {
		if got := seconds(tc.d, tc.decimals); got != tc.want {
			t.Errorf("seconds(%d, %d) = %s, want %s", tc.d, tc.decimals, got, tc.want)
		}
	}
}

func TestReportIsJSON(t *testing.T) {
	m := newPID1(nil, nil)
	m.times.restart()
	m.times.next("early", nil)
	overNetwork := m.times.beside("network")
	m.times.next("modules", nil)
	m.times.wait("the \"ports\"\n\xff")(nil)
	m.times.wait("nothing")(errors.New("did not\tappear"))
	m.times.next("root", errors.New("no driver"))
	overNetwork(nil)
	var got struct {
		Version       int
		Release       string
		Init, Now     float64
		Stages, Waits []struct {
			Name, For, Error string
			Start, End       float64
		}
		Modules []any
	}
	text := m.json()
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if got.Version != reportVersion || got.Release == "" || got.Init <= 0 || got.Now < got.Init || got.Modules == nil {
		t.Errorf("report %s", text)
	}
	var names []string
	for _, s := range got.Stages {
		names = append(names, s.Name+"("+s.Error+")")
		if s.Start < got.Init || s.End > got.Now || (s.End == 0) != (s.Name == "root") {
			t.Errorf("stage %+v in %s", s, text)
		}
	}
	if got, want := strings.Join(names, " "), "early() network() modules(no driver) root()"; got != want {
		t.Errorf("stages %s, want %s", got, want)
	}
	if w := got.Waits; len(w) != 2 || w[0].For != "the \"ports\"\n?" || w[1].Error != "did not\tappear" {
		t.Errorf("waits %+v", w)
	}
	lines := strings.Join(m.times.lines(), "\n")
	for _, want := range []string{"s: early, ", "waited for nothing, ", "in vain"} {
		if !strings.Contains(lines, want) {
			t.Errorf("no %q in\n%s", want, lines)
		}
	}

	m.times.restart()
	overNetwork(errors.New("late")) // of the first attempt
	m.times.next("early", nil)
	if s := m.times.stages; len(s) != 1 || s[0].err != "" {
		t.Errorf("after a restart the stages are %+v", s)
	}
}

func FuzzAppendJSON(f *testing.F) {
	f.Add("plain")
	f.Add("\x00\"\\\x1f\x7f\u2028ä\xff")
	f.Fuzz(func(t *testing.T, s string) {
		var back string
		quoted := appendJSON(nil, s)
		if err := json.Unmarshal(quoted, &back); err != nil {
			t.Fatalf("appendJSON(%q) = %s: %v", s, quoted, err)
		}
		if utf8.ValidString(s) && back != s {
			t.Errorf("appendJSON(%q) means %q", s, back)
		}
	})
}
