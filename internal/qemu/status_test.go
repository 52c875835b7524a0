package qemu

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var compareStatus = cmp.AllowUnexported(status{})

func TestParseStatus(t *testing.T) {
	for _, tt := range []struct {
		line string
		want status
		ok   bool
	}{
		{"boot", status{kind: "boot", out: -1, err: -1}, true},
		{"start", status{kind: "start", out: -1, err: -1}, true},
		{"exit 42 10 0", status{kind: "exit", n: 42, out: 10}, true},
		{"exit 0", status{kind: "exit", out: -1, err: -1}, true},
		{"signal 9 1 2 oom", status{kind: "signal", n: 9, out: 1, err: 2, oom: true}, true},
		{"signal 11", status{kind: "signal", n: 11, out: -1, err: -1}, true},
		{"signal 9 oom", status{kind: "signal", n: 9, out: -1, err: -1, oom: true}, true},
		{"noexec /a: exec format error", status{kind: "noexec", out: -1, err: -1, message: "/a: exec format error"}, true},
		{"notfound a\x1b[2Jb\u202ec", status{kind: "notfound", out: -1, err: -1, message: "a?[2Jb?c"}, true},
		{"failed ", status{kind: "failed", out: -1, err: -1}, true},
		{line: ""},
		{line: "boots"},
		{line: "boot 1"},
		{line: "start 17"},
		{line: "start -1"},
		{line: "exit"},
		{line: "exit 256"},
		{line: "exit -1"},
		{line: "exit +1"},
		{line: "exit 4[    1.5] random: crng init done"},
		{line: "exit 4 1"},
		{line: "exit 4 1 2 3"},
		{line: "exit 4 -1 2"},
		{line: "exit 4 1 99999999999999999999"},
		{line: "exit 0 0 0 oom"},
		{line: "signal 0"},
		{line: "signal 65"},
		{line: "signal oom"},
	} {
		got, ok := parseStatus(tt.line)
		if ok != tt.ok || ok && !cmp.Equal(got, tt.want, compareStatus) {
			t.Errorf("parseStatus(%q) = %+v, %v, want %+v, %v", tt.line, got, ok, tt.want, tt.ok)
		}
	}
}

func TestReadStatuses(t *testing.T) {
	long := strings.Repeat("x", 3*maxLine)
	in := "boot\ngarbage\n\n\x00\xff\n" + long + "\nexit 1 2 " + long + "\nstart\r\nexit 3 0 0\nexit 4"
	var got []string
	readStatuses(strings.NewReader(in), nil, func(st status) { got = append(got, st.kind) })
	if diff := cmp.Diff([]string{"boot", "start", "exit"}, got); diff != "" {
		t.Errorf("readStatuses(…) (-want +got):\n%s", diff)
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add("exit 42 10 0")
	f.Add("signal 9 1 2 oom")
	f.Add("failed x")
	f.Fuzz(func(t *testing.T, line string) {
		st, ok := parseStatus(line)
		if !ok {
			return
		}
		res := verdictResult(st)
		if st.ends() && (res.Reason == "" || res.Status < 0 || res.Status > statusSignal+64 && res.Reason != ReasonExit) {
			t.Errorf("verdictResult(parseStatus(%q)) = %+v", line, res)
		}
		if strings.ContainsAny(res.Message, "\n\r\x1b") {
			t.Errorf("message of %q is not printable: %q", line, res.Message)
		}
	})
}
