package netcfg

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	address53 = "\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x53"
	minute6   = "\x00\x00\x00\x00\x00\x3c" // reserved, lifetime
)

func TestParseNdUserOpt(t *testing.T) {
	change := func(b []byte, i int, c byte) []byte { b[i] = c; return b }
	rdnss := func() []byte { return userOpt(2, "\x19\x03"+minute6+address53) }
	tests := []struct {
		name string
		in   []byte
		want ndOption // the zero value: none
	}{
		{"RDNSS", rdnss(), ndOption{index: 2, said: []saying{{dns: addr("fd00::53")}}, lifetime: time.Minute}},
		{"RDNSS, with attributes behind", append(rdnss(), 20, 0, 1, 0), ndOption{index: 2, said: []saying{{dns: addr("fd00::53")}}, lifetime: time.Minute}},
		{"RDNSS, two", userOpt(2, "\x19\x05"+minute6+address53+"\xfe\x80"+address53[2:]), ndOption{index: 2, said: []saying{{dns: addr("fd00::53")}, {dns: addr("fe80::53")}}, lifetime: time.Minute}},
		{"RDNSS, for ever", userOpt(2, "\x19\x03\x00\x00\xff\xff\xff\xff"+address53), ndOption{index: 2, said: []saying{{dns: addr("fd00::53")}}, lifetime: forever6 * time.Second}},
		{"RDNSS of a group", userOpt(2, "\x19\x03"+minute6+"\xff\x02"+address53[2:]), ndOption{}},
		{"DNSSL", userOpt(2, "\x1f\x03"+minute6+"\x01a\x07example\x00\x01b\x00\x00\x00"), ndOption{index: 2, said: []saying{{search: "a.example"}, {search: "b"}}, lifetime: time.Minute}},
		{"DNSSL for a shell", userOpt(2, "\x1f\x02"+minute6+"\x04a;$b\x00\x00\x00"), ndOption{}},
		{"another option", userOpt(2, "\x03\x03"+minute6+address53), ndOption{}},
		{"no advertisement", change(rdnss(), 8, 135), ndOption{}},
		{"IPv4", change(rdnss(), 0, 2), ndOption{}},
		{"longer than it is", change(rdnss(), sizeofNdUserOpt+1, 4), ndOption{}},
		{"cut short", rdnss()[:sizeofNdUserOpt+20], ndOption{}},
		{"no option", userOpt(2, ""), ndOption{}},
		{"nothing", nil, ndOption{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := parseNdUserOpt(test.in)
			if ok != (test.want.index != 0) {
				t.Errorf("ok is %t", ok)
			}
			if !ok {
				got = ndOption{}
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(ndOption{}, saying{}), comparer()); diff != "" {
				t.Errorf("parseNdUserOpt (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAdvertised lets name servers come, stay and go.
func TestAdvertised(t *testing.T) {
	now := time.Unix(1000, 0)
	var a advertised
	list := func() string {
		var words []string
		for _, l := range a {
			if l.dns.IsValid() {
				words = append(words, l.dns.String())
			} else {
				words = append(words, l.search)
			}
		}
		return strings.Join(words, " ")
	}
	dns := func(lifetime time.Duration, addrs ...string) ndOption {
		o := ndOption{lifetime: lifetime}
		for _, s := range addrs {
			o.said = append(o.said, saying{dns: addr(s)})
		}
		return o
	}
	steps := []struct {
		name  string
		do    func()
		want  string
		dueIn time.Duration // 0: never
	}{
		{"two servers", func() { a.add(dns(time.Minute, "fd00::1", "fd00::2"), now) }, "fd00::1 fd00::2", time.Minute},
		{"a domain", func() { a.add(ndOption{said: []saying{{search: "example"}}, lifetime: forever6 * time.Second}, now) }, "fd00::1 fd00::2 example", time.Minute},
		{"one server again", func() { a.add(dns(time.Hour, "fd00::1"), now) }, "fd00::1 fd00::2 example", time.Minute},
		{"the other ends", func() { now = now.Add(time.Minute); a.expire(now) }, "fd00::1 example", 59 * time.Minute},
		{"the first is taken back", func() { a.add(dns(0, "fd00::1"), now) }, "example", 0},
		{"what was not there is taken back", func() { a.add(dns(0, "fd00::9"), now) }, "example", 0},
	}
	for _, s := range steps {
		s.do()
		if got := list(); got != s.want {
			t.Errorf("%s: %q, want %q", s.name, got, s.want)
		}
		due := time.Duration(0)
		if !a.due().IsZero() {
			due = a.due().Sub(now)
		}
		if due != s.dueIn {
			t.Errorf("%s: due in %s, want %s", s.name, due, s.dueIn)
		}
	}
	for i := range 100 {
		a.add(dns(time.Minute, fmt.Sprintf("fd00::%x", i+1)), now)
	}
	if len(a) != maxAdvertised+1 {
		t.Errorf("%d values after a hundred servers", len(a))
	}
}
