//go:build linux

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"rambox/pkg/cmdline"
)

func TestSplitURLs(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want []string
	}{
		{"", nil},
		{"http://a/x", []string{"http://a/x"}},
		{"http://a/x,https://b/x", []string{"http://a/x", "https://b/x"}},
		{"http://a/x,HTTPS://b/x", []string{"http://a/x", "HTTPS://b/x"}},
		{"http://a/x,y,z,http://b/x,1", []string{"http://a/x,y,z", "http://b/x,1"}},
		{",http://a/x,", []string{"http://a/x"}},
		{"http://a/x,,http://b/x", []string{"http://a/x", "http://b/x"}},
		{"ftp://a/x", []string{"ftp://a/x"}},
		{"http://a/?u=http://b/", []string{"http://a/?u=http://b/"}},
	} {
		if diff := cmp.Diff(tc.want, splitURLs(tc.in)); diff != "" {
			t.Errorf("splitURLs(%q): -want +got:\n%s", tc.in, diff)
		}
	}
}

func TestNewPlan(t *testing.T) {
	hex := strings.Repeat("0a", 32)
	type want struct {
		Mirrors []string
		Digest  string
		Types   []string
		Flags   uintptr
		Data    string
		Access  access
	}
	for _, tc := range []struct {
		name, root, line string
		want             want
	}{
		{
			name: "a digest", root: "https://h/root.squashfs", line: "quiet rambox.digest=sha256:" + hex,
			want: want{Mirrors: []string{"https://h/root.squashfs"}, Digest: "sha256:" + hex},
		},
		{
			name: "capitals in a digest", root: "http://h/r", line: "rambox.digest=sha256:" + strings.ToUpper(hex),
			want: want{Mirrors: []string{"http://h/r"}, Digest: "sha256:" + hex},
		},
		{
			name: "none is wanted", root: "http://h/r", line: "rambox.insecure",
			want: want{Mirrors: []string{"http://h/r"}},
		},
		{
			name: "one that need not be there counts all the same", root: "http://h/r", line: "rambox.insecure rambox.digest=sha256:" + hex,
			want: want{Mirrors: []string{"http://h/r"}, Digest: "sha256:" + hex},
		},
		{
			name: "mirrors", root: "http://a/r,https://b/r", line: "rambox.insecure rambox.mirror=http://c/r rambox.mirror=http://[fd00::1]:8080/r,http://e/r",
			want: want{Mirrors: []string{"http://a/r", "https://b/r", "http://c/r", "http://[fd00::1]:8080/r", "http://e/r"}},
		},
		{
			name: "options", root: "http://h/r", line: "rambox.insecure rootfstype=xfs rootfstype=auto,ext4 rootflags=noatime,ro,x-y rootflags=noload,defaults ro rw",
			want: want{Mirrors: []string{"http://h/r"}, Types: []string{"ext4"}, Flags: unix.MS_NOATIME, Data: "noload", Access: readWrite},
		},
		{
			name: "ro, and a word of somebody else", root: "http://h/r", line: "rambox.insecure ro rw=1",
			want: want{Mirrors: []string{"http://h/r"}, Access: readOnly},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := newPlan(tc.root, "/newroot", cmdline.Parse(tc.line))
			if err != nil {
				t.Fatalf("newPlan(%q, %q): %v", tc.root, tc.line, err)
			}
			got := want{Types: p.types, Flags: p.flags, Data: p.data, Access: p.access}
			for _, u := range p.mirrors {
				got.Mirrors = append(got.Mirrors, u.String())
			}
			if p.digest != nil {
				got.Digest = p.digest.String()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("newPlan(%q, %q): -want +got:\n%s", tc.root, tc.line, diff)
			}
		})
	}
}

func TestNewPlanErrors(t *testing.T) {
	hex := strings.Repeat("0a", 32)
	for _, tc := range []struct {
		name, root, line, want string
	}{
		{"no digest", "http://h/r", "", "rambox.insecure"},
		{"insecure is off", "http://h/r", "rambox.insecure=0", "rambox.digest="},
		{"insecure is something else", "http://h/r", "rambox.insecure=maybe", "maybe"},
		{"another digest", "http://h/r", "rambox.digest=md5:" + hex, "want sha256:"},
		{"a short digest", "http://h/r", "rambox.digest=sha256:" + hex[2:], "want sha256:"},
		{"a digest of other letters", "http://h/r", "rambox.digest=sha256:x" + hex[1:], "want sha256:"},
		{"no URL", "", "rambox.insecure", "no URL"},
		{"another scheme", "ftp://h/r", "rambox.insecure", "want http://HOST/PATH"},
		{"no host", "http:///r", "rambox.insecure", "want http://HOST/PATH"},
		{"a bad mirror", "http://h/r", "rambox.insecure rambox.mirror=h/r", "want http://HOST/PATH"},
		{"a bad URL", "http://h:x/r", "rambox.insecure", "invalid port"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := newPlan(tc.root, "/newroot", cmdline.Parse(tc.line)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("newPlan(%q, %q): %v, want an error with %q", tc.root, tc.line, err, tc.want)
			}
		})
	}
}

func TestParseMeminfo(t *testing.T) {
	for _, tc := range []struct {
		in   string
		want int64
		ok   bool
	}{
		{"MemTotal:  100 kB\nMemFree:  5 kB\nMemAvailable:   42 kB\nBuffers: 0 kB\n", 42 << 10, true},
		{"MemTotal:  100 kB\n", 0, false},
		{"MemAvailable: many kB\n", 0, false},
		{"MemAvailable: 42\n", 0, false},
		{"MemAvailable: 18014398509481984 kB\n", 0, false},
	} {
		got, err := parseMeminfo(tc.in)
		if got != tc.want || (err == nil) != tc.ok {
			t.Errorf("parseMeminfo(%q) = %d, %v, want %d, ok %v", tc.in, got, err, tc.want, tc.ok)
		}
	}
}
