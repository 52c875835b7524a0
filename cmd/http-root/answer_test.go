//go:build linux

package main

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestParseContentRange(t *testing.T) {
	for _, tc := range []struct {
		in                string
		first, last, size int64
		ok                bool
	}{
		{"bytes 42-1233/1234", 42, 1233, 1234, true},
		{"Bytes 0-0/1", 0, 0, 1, true},
		{"bytes 42-1233/*", 42, 1233, -1, true},
		{"bytes */1234", 0, 0, 0, false},
		{"bytes 42-1234/1234", 42, 1234, 1234, false},
		{"bytes 43-42/1234", 43, 42, 1234, false},
		{"bytes 42-1233", 0, 0, 0, false},
		{"bytes -1-1233/1234", 0, 0, 0, false},
		{"bytes +1-1233/1234", 0, 0, 0, false},
		{"bytes 1-9223372036854775808/*", 0, 0, 0, false},
		{"items 42-1233/1234", 0, 0, 0, false},
		{"", 0, 0, 0, false},
	} {
		first, last, size, ok := parseContentRange(tc.in)
		if ok != tc.ok || ok && (first != tc.first || last != tc.last || size != tc.size) {
			t.Errorf("parseContentRange(%q) = %d, %d, %d, %v, want %d, %d, %d, %v", tc.in, first, last, size, ok, tc.first, tc.last, tc.size, tc.ok)
		}
	}
}

func FuzzParseContentRange(f *testing.F) {
	for _, s := range []string{"bytes 42-1233/1234", "bytes 42-1233/*", "bytes */1234", "bytes 9-/1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		first, last, size, ok := parseContentRange(s)
		if ok && (first < 0 || last < first || size >= 0 && last >= size || size < -1) {
			t.Errorf("parseContentRange(%q) = %d, %d, %d", s, first, last, size)
		}
	})
}

func TestValidator(t *testing.T) {
	const modified, soon, later = "Sat, 21 Nov 2026 06:00:00 GMT", "Sat, 21 Nov 2026 06:00:59 GMT", "Sat, 21 Nov 2026 06:01:00 GMT"
	for _, tc := range []struct {
		name string
		v    version
		want string
	}{
		{"a strong ETag", version{etag: `"x"`, modified: modified, date: later}, `"x"`},
		{"a weak ETag", version{etag: `W/"x"`}, ""},
		{"a weak ETag and a time", version{etag: `W/"x"`, modified: modified, date: later}, modified},
		{"a time", version{modified: modified, date: later}, modified},
		{"a time that may not be over", version{modified: modified, date: soon}, ""},
		{"a time and nothing to compare with", version{modified: modified}, ""},
		{"no time", version{modified: "yesterday", date: later}, ""},
		{"nothing", version{}, ""},
	} {
		if got := tc.v.validator(); got != tc.want {
			t.Errorf("%s: validator() = %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestReadAnswer(t *testing.T) {
	known := version{size: 100, etag: `"x"`, modified: "m"}
	for _, tc := range []struct {
		name    string
		v       version
		have    int64
		status  int
		length  int64
		header  string // "Name: value" lines
		size    int64
		resumed bool
		outcome outcome
		anew    bool
		after   time.Duration
		err     string // "": none
	}{
		{name: "the whole", status: 200, length: 100, size: 100},
		{name: "the whole, of unknown length", status: 200, length: -1, size: -1},
		{name: "the whole instead of the rest", v: known, have: 40, status: 200, length: 90, size: 90},
		{name: "nothing", status: 200, length: 0, outcome: refused, err: "empty"},
		{name: "the rest", v: known, have: 40, status: 206, length: 60, header: "Content-Range: bytes 40-99/100\nETag: \"x\"", size: 100, resumed: true},
		{name: "the rest, and neither tag nor time", v: known, have: 40, status: 206, length: -1, header: "Content-Range: bytes 40-99/100", size: 100, resumed: true},
		{name: "some of the rest", v: known, have: 40, status: 206, length: 10, header: "Content-Range: bytes 40-49/100", size: 100, resumed: true},
		{name: "the size is known now", v: version{size: -1}, have: 40, status: 206, length: 60, header: "Content-Range: bytes 40-99/100", size: 100, resumed: true},
		{name: "the size was known", v: known, have: 40, status: 206, length: 60, header: "Content-Range: bytes 40-99/*", size: 100, resumed: true},
		{name: "the size is never known", v: version{size: -1}, have: 40, status: 206, length: 60, header: "Content-Range: bytes 40-99/*", anew: true, err: "Content-Range"},
		{name: "a range that nobody wanted", status: 206, length: 60, header: "Content-Range: bytes 40-99/100", outcome: refused, err: "206"},
		{name: "another range", v: known, have: 40, status: 206, length: 61, header: "Content-Range: bytes 39-99/100", anew: true, err: "asked for 40"},
		{name: "a range of a length of its own", v: known, have: 40, status: 206, length: 61, header: "Content-Range: bytes 40-99/100", anew: true, err: "Content-Length 61"},
		{name: "no range", v: known, have: 40, status: 206, length: 60, anew: true, err: "Content-Range"},
		{name: "another size", v: known, have: 40, status: 206, length: 61, header: "Content-Range: bytes 40-100/101", anew: true, err: "changed"},
		{name: "another tag", v: known, have: 40, status: 206, length: 60, header: "Content-Range: bytes 40-99/100\nETag: \"y\"", anew: true, err: "changed"},
		{name: "another time", v: known, have: 40, status: 206, length: 60, header: "Content-Range: bytes 40-99/100\nLast-Modified: n", anew: true, err: "changed"},
		{name: "no such range", v: known, have: 40, status: 416, header: "Content-Range: bytes */30", anew: true, err: "416"},
		{name: "no such range of all", status: 416, outcome: refused, err: "416"},
		{name: "not found", status: 404, outcome: refused, err: "404 Not Found"},
		{name: "no content", status: 204, outcome: refused, err: "204"},
		{name: "too many", status: 429, header: "Retry-After: 7", after: 7 * time.Second, err: "429"},
		{name: "later", status: 503, header: "Retry-After: Sat, 21 Nov 2026 06:00:00 GMT", err: "503"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &http.Response{StatusCode: tc.status, ContentLength: tc.length, Header: http.Header{}}
			for line := range strings.Lines(tc.header) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
				r.Header.Set(name, value)
			}
			v, resumed, bad := tc.v.readAnswer(r, tc.have)
			if tc.err == "" {
				if bad != nil || v.size != tc.size || resumed != tc.resumed {
					t.Errorf("size %d, resumed %v, fault %v, want %d, %v", v.size, resumed, bad, tc.size, tc.resumed)
				}
				return
			}
			if bad == nil {
				t.Fatalf("no fault, want one with %q", tc.err)
			}
			mentions(t, bad.Error(), tc.err)
			if bad.outcome != tc.outcome || bad.anew != tc.anew || bad.after != tc.after {
				t.Errorf("outcome %d, anew %v, after %v, want %d, %v, %v", bad.outcome, bad.anew, bad.after, tc.outcome, tc.anew, tc.after)
			}
		})
	}
}
