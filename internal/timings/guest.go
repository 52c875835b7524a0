package timings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Bounds on a guest's report: entries of a list, runes of a text, seconds.
const (
	maxEntries = 4096
	maxText    = 1000
	maxSeconds = 1e7
)

// version is that of the report.
const version = 1

// Guest is what init reports: /run/rambox/boot.json. Times are of the kernel's monotonic clock.
type Guest struct {
	Version int      `json:"version"`
	Release string   `json:"release"` // of the kernel: "6.1.0-48-cloud-amd64"
	Init    Seconds  `json:"init"`    // init's start
	Now     Seconds  `json:"now"`     // when the report was made
	Stages  []Stage  `json:"stages"`  // in order of their start
	Waits   []Wait   `json:"waits"`
	Modules []Module `json:"modules"`
}

// Stage is a part of init's work: early, modules, ports, network, root, handoff, or the payload.
type Stage struct {
	Name  string `json:"name"`
	Error string `json:"error,omitempty"` // why it has failed
	Span
}

// Wait is a time in which init waited for something.
type Wait struct {
	For   string `json:"for"` // "the network"
	Error string `json:"error,omitempty"`
	Span
}

// Module is a kernel module that init has loaded.
type Module struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
	Span
}

// Span is a piece of time. One that is not over has no end.
type Span struct {
	Start Seconds  `json:"start"`
	End   *Seconds `json:"end,omitempty"`
}

// Seconds is a time that is a number of seconds in JSON, to the microsecond.
type Seconds time.Duration

// MarshalJSON implements [json.Marshaler].
func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Seconds(), 'f', 6, 64), nil
}

// UnmarshalJSON implements [json.Unmarshaler]. It takes no negative time, and none of more than 10,000,000 s.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || !(f >= 0 && f <= maxSeconds) {
		return fmt.Errorf("%.40q is no time in seconds", b)
	}
	*s = Seconds(time.Duration(math.Round(f*1e6)) * time.Microsecond)
	return nil
}

// ParseGuest reads a report. It refuses fields that it does not know and times that cannot be; texts become fit for one
// line of a terminal.
func ParseGuest(b []byte) (Guest, error) {
	var g Guest
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := versionOf(b); err != nil {
		return Guest{}, err
	}
	if err := d.Decode(&g); err != nil {
		return Guest{}, fmt.Errorf("read the guest's timings: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Guest{}, errors.New("read the guest's timings: more than one object")
	}
	if err := g.check(); err != nil {
		return Guest{}, fmt.Errorf("read the guest's timings: %w", err)
	}
	return g, nil
}

// versionOf comes first: a report of another version may have other fields.
func versionOf(b []byte) error {
	var v struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return fmt.Errorf("read the guest's timings: %w", err)
	}
	if v.Version == nil || *v.Version != version {
		return fmt.Errorf("the guest's timings are not of version %d: take an init that belongs to this rambox", version)
	}
	return nil
}

func (g *Guest) check() error {
	if n := max(len(g.Stages), len(g.Waits), len(g.Modules)); n > maxEntries {
		return fmt.Errorf("%d entries in a list, more than %d", n, maxEntries)
	}
	g.Release = clean(g.Release)
	g.catchUp()
	if g.Init > g.Now {
		return errors.New("init starts after the report was made")
	}
	for i := range g.Stages {
		s := &g.Stages[i]
		s.Name, s.Error = clean(s.Name), clean(s.Error)
		if err := s.check(g.Now); err != nil {
			return fmt.Errorf("stage %s: %w", s.Name, err)
		}
	}
	for i := range g.Waits {
		w := &g.Waits[i]
		w.For, w.Error = clean(w.For), clean(w.Error)
		if err := w.check(g.Now); err != nil {
			return fmt.Errorf("wait for %s: %w", w.For, err)
		}
	}
	for i := range g.Modules {
		m := &g.Modules[i]
		m.Name = clean(m.Name)
		if err := m.check(g.Now); err != nil {
			return fmt.Errorf("module %s: %w", m.Name, err)
		}
		if m.Bytes < 0 {
			return fmt.Errorf("module %s: %d bytes", m.Name, m.Bytes)
		}
	}
	return nil
}

// catchUp moves the time of the report behind what ended while it was made.
func (g *Guest) catchUp() {
	const slack = Seconds(100 * time.Millisecond)
	latest := g.Now
	see := func(s Span) {
		end := s.Start
		if s.End != nil {
			end = *s.End
		}
		if end <= g.Now+slack {
			latest = max(latest, end)
		}
	}
	for _, s := range g.Stages {
		see(s.Span)
	}
	for _, w := range g.Waits {
		see(w.Span)
	}
	for _, m := range g.Modules {
		see(m.Span)
	}
	g.Now = latest
}

func (s Span) check(now Seconds) error {
	end := now
	if s.End != nil {
		end = *s.End
	}
	if s.Start > end || end > now {
		return errors.New("its times are not in order")
	}
	return nil
}

// clean makes text from a guest fit for one line, and bounds it.
func clean(s string) string {
	s = strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s))
	if r := []rune(s); len(r) > maxText {
		return string(r[:maxText-1]) + "…"
	}
	return s
}
