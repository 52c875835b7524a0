package cmdline_test

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"rambox/pkg/cmdline"
)

// check compares one typed look-up of "k" with what is wanted. An error must
// name the word; there is one where bad is set.
func check[T comparable](t *testing.T, line string, got T, ok bool, err error, want T, wantOK bool, bad string) {
	t.Helper()
	if got != want || ok != wantOK {
		t.Errorf("Parse(%q): got %v, %v, want %v, %v", line, got, ok, want, wantOK)
	}
	switch {
	case bad == "" && err != nil:
		t.Errorf("Parse(%q): unexpected error: %v", line, err)
	case bad != "" && (err == nil || !strings.Contains(err.Error(), strconv.Quote(bad)) || !strings.Contains(err.Error(), "want ")):
		t.Errorf("Parse(%q): error %v does not say what is wanted of %q", line, err, bad)
	}
}

func TestBool(t *testing.T) {
	tests := []struct {
		line  string
		value bool
		ok    bool
		bad   string
	}{
		{line: ""},
		{line: "kk=1 -- k"},
		{line: "k", value: true, ok: true},
		{line: "k=1", value: true, ok: true},
		{line: "k=y", value: true, ok: true},
		{line: "k=Yes", value: true, ok: true},
		{line: "k=on", value: true, ok: true},
		{line: "k=ON", value: true, ok: true},
		{line: "k=true", value: true, ok: true},
		{line: "k=T", value: true, ok: true},
		{line: "k=10", value: true, ok: true},
		{line: "k=0", ok: true},
		{line: "k=n", ok: true},
		{line: "k=No", ok: true},
		{line: "k=off", ok: true},
		{line: "k=oF", ok: true},
		{line: "k=false", ok: true},
		{line: "k=F", ok: true},
		{line: "k=0 k", value: true, ok: true},
		{line: "k k=0", ok: true},
		{line: "k=bad k=0", ok: true},
		{line: "k=1 k=bad", bad: "k=bad"},
		{line: "k=", bad: "k="},
		{line: "k=o", bad: "k=o"},
		{line: "k=2", bad: "k=2"},
		{line: `k=" y"`, bad: "k= y"},
		{line: "k=\xff\xff", bad: "k=\xff\xff"},
	}
	for _, test := range tests {
		value, ok, err := cmdline.Parse(test.line).Bool("k")
		check(t, test.line, value, ok, err, test.value, test.ok, test.bad)
	}
}

func TestInt(t *testing.T) {
	tests := []struct {
		line  string
		value int
		ok    bool
		bad   string
	}{
		{line: ""},
		{line: "k=30", value: 30, ok: true},
		{line: "k=-1", value: -1, ok: true},
		{line: "k=+7", value: 7, ok: true},
		{line: "k=0", value: 0, ok: true},
		{line: "k=010", value: 8, ok: true},
		{line: "k=0x1F", value: 31, ok: true},
		{line: "k=-0X10", value: -16, ok: true},
		{line: "k=2147483647", value: math.MaxInt32, ok: true},
		{line: "k=-2147483648", value: math.MinInt32, ok: true},
		{line: "k=1 k", value: 1, ok: true},
		{line: "k=x k=3", value: 3, ok: true},
		{line: "k=3 k=x", bad: "k=x"},
		{line: "k", bad: "k"},
		{line: "k=", bad: "k="},
		{line: "k=-", bad: "k=-"},
		{line: "k=+-1", bad: "k=+-1"},
		{line: "k=--1", bad: "k=--1"},
		{line: "k=08", bad: "k=08"},
		{line: "k=0x", bad: "k=0x"},
		{line: "k=0b1", bad: "k=0b1"},
		{line: "k=0o7", bad: "k=0o7"},
		{line: "k=1_000", bad: "k=1_000"},
		{line: "k=5,6", bad: "k=5,6"},
		{line: "k=2147483648", bad: "k=2147483648"},
		{line: "k=-2147483649", bad: "k=-2147483649"},
		{line: "k=99999999999999999999", bad: "k=99999999999999999999"},
	}
	for _, test := range tests {
		value, ok, err := cmdline.Parse(test.line).Int("k")
		check(t, test.line, value, ok, err, test.value, test.ok, test.bad)
	}
}

func TestDuration(t *testing.T) {
	tests := []struct {
		line  string
		value time.Duration
		ok    bool
		bad   string
	}{
		{line: ""},
		{line: "k=0", ok: true},
		{line: "k=30", value: 30 * time.Second, ok: true},
		{line: "k=030", value: 30 * time.Second, ok: true},
		{line: "k=1m30s", value: 90 * time.Second, ok: true},
		{line: "k=500ms", value: 500 * time.Millisecond, ok: true},
		{line: "k=1.5s", value: 1500 * time.Millisecond, ok: true},
		{line: "k=9 k", value: 9 * time.Second, ok: true},
		{line: "k=soon k=1", value: time.Second, ok: true},
		{line: "k=1 k=soon", bad: "k=soon"},
		{line: "k", bad: "k"},
		{line: "k=", bad: "k="},
		{line: "k=-1", bad: "k=-1"},
		{line: "k=-1s", bad: "k=-1s"},
		{line: "k=1.5", bad: "k=1.5"},
		{line: "k=s", bad: "k=s"},
		{line: "k=30x", bad: "k=30x"},
		{line: "k=9223372037", bad: "k=9223372037"},
		{line: "k=99999999999999999999", bad: "k=99999999999999999999"},
	}
	for _, test := range tests {
		value, ok, err := cmdline.Parse(test.line).Duration("k")
		check(t, test.line, value, ok, err, test.value, test.ok, test.bad)
	}
}

func TestParseSize(t *testing.T) {
	tests := []struct {
		size  string
		bytes uint64
		ok    bool
	}{
		{size: "0", ok: true},
		{size: "4096", bytes: 4096, ok: true},
		{size: "4k", bytes: 4 << 10, ok: true},
		{size: "64M", bytes: 64 << 20, ok: true},
		{size: "2g", bytes: 2 << 30, ok: true},
		{size: "3T", bytes: 3 << 40, ok: true},
		{size: "1P", bytes: 1 << 50, ok: true},
		{size: "15E", bytes: 15 << 60, ok: true},
		{size: "0E", ok: true},
		{size: "010K", bytes: 8 << 10, ok: true},
		{size: "0x10m", bytes: 16 << 20, ok: true},
		{size: "0x1E", bytes: 0x1e, ok: true},
		{size: "0xEG", bytes: 14 << 30, ok: true},
		{size: "18446744073709551615", bytes: math.MaxUint64, ok: true},
		{size: "18446744073709551616"},
		{size: "16E"},
		{size: "17179869184G"},
		{size: ""},
		{size: "K"},
		{size: "-1"},
		{size: "+1"},
		{size: "1KB"},
		{size: "1KK"},
		{size: "1.5G"},
		{size: "08"},
		{size: "0x"},
		{size: "0xK"},
		{size: "1_0"},
		{size: "50%"},
		{size: " 1"},
	}
	for _, test := range tests {
		bytes, err := cmdline.ParseSize(test.size)
		if bytes != test.bytes || (err == nil) != test.ok {
			t.Errorf("ParseSize(%q) = %d, %v, want %d, ok %v", test.size, bytes, err, test.bytes, test.ok)
		}
		if err != nil && !strings.Contains(err.Error(), strconv.Quote(test.size)) {
			t.Errorf("ParseSize(%q): error %q does not name it", test.size, err)
		}
	}
}
