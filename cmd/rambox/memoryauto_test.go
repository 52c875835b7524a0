package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"rambox/internal/qemu"
)

func TestLeastEnough(t *testing.T) {
	var errLost = errors.New("interrupted")
	for _, tt := range []struct {
		name        string
		least, most int
		enough      func(mb, nth int) bool // nth: how often this size has been tried before
		fails       int                    // at this try, from 1, there is an error
		found       int
		why         string
		err         string
		tries       int // at most
	}{
		{"in the middle", 8, 1024, func(mb, _ int) bool { return mb >= 14 }, 0, 14, "13 short", "", 14},
		{"most", 8, 1024, func(mb, _ int) bool { return mb >= 1024 }, 0, 1024, "1023 short", "", 30},
		{"just above what was believed too little", 8, 1024, func(mb, _ int) bool { return mb >= 9 }, 0, 9, "8 short", "", 14},
		{"less than believed", 8, 1024, func(mb, _ int) bool { return mb >= 6 }, 0, 6, "5 short", "", 16},
		{"always enough", 3, 64, func(int, int) bool { return true }, 0, 1, "", "", 14},
		{"once by chance", 8, 1024, func(mb, nth int) bool { return mb >= 20 || mb == 19 && nth == 0 }, 0, 20, "19 short", "", 18},
		{"at the second confirmation", 8, 1024, func(mb, nth int) bool { return mb >= 20 || mb == 19 && nth < 2 }, 0, 20, "19 short", "", 20},
		{"all but the first of most", 8, 16, func(int, int) bool { return false }, 0, 0, "", "16 MB were enough once, and then not: 16 short", 6},
		{"an error", 8, 1024, func(mb, _ int) bool { return mb >= 14 }, 3, 0, "", "interrupted", 3},
		{"an error of a confirmation", 12, 14, func(mb, _ int) bool { return mb >= 14 }, 3, 0, "", "interrupted", 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before, tries := map[int]int{}, 0
			found, why, err := leastEnough(tt.least, tt.most, func(mb int) (string, error) {
				if tries++; tries == tt.fails {
					return "", errLost
				}
				nth := before[mb]
				before[mb]++
				if tt.enough(mb, nth) {
					return "", nil
				}
				return fmt.Sprint(mb, " short"), nil
			})
			if (err == nil) != (tt.err == "") || err != nil && err.Error() != tt.err || found != tt.found && err == nil || why != tt.why && err == nil {
				t.Errorf("leastEnough = %d, %q, %v, want %d, %q, %q", found, why, err, tt.found, tt.why, tt.err)
			}
			if tries > tt.tries {
				t.Errorf("%d tries, want at most %d", tries, tt.tries)
			}
			if err == nil && before[found] < 2 {
				t.Errorf("%d MB were tried %d times only", found, before[found])
			}
		})
	}
}

func TestShortage(t *testing.T) {
	for _, tt := range []struct {
		r    qemu.Result
		want string
	}{
		{qemu.Result{Reason: qemu.ReasonExit}, ""},
		{qemu.Result{Reason: qemu.ReasonExit, Status: 2}, "the program ends with status 2"},
		{qemu.Result{Reason: qemu.ReasonSignal, Status: 137, Signal: 9, OOM: true}, "out of memory while the program runs"},
		{qemu.Result{Reason: qemu.ReasonSignal, Status: 139, Signal: 11, Message: "the program was killed by signal 11"}, "the program was killed by signal 11"},
		{qemu.Result{Reason: qemu.ReasonTimeout, Status: 124, Message: "the time limit of 12s ran out"}, "the time limit of 12s ran out"},
		{qemu.Result{Reason: qemu.ReasonBoot, Status: 125, Message: "the boot failed: no room"}, "the boot failed: no room"},
		{qemu.Result{Reason: qemu.ReasonPanic, Status: 123, ConsoleTail: "[ 0.1] Initramfs unpacking failed: write error\n"}, "out of memory while the kernel unpacks the image"},
		{qemu.Result{Reason: qemu.ReasonPanic, Status: 123, ConsoleTail: "fatal error: out of memory allocating heap arena map\n"}, "out of memory while init starts"},
		{qemu.Result{Reason: qemu.ReasonPanic, Status: 123, ConsoleTail: "Kernel panic - not syncing: System is deadlocked on memory\n"}, "out of memory while init starts"},
		{qemu.Result{Reason: qemu.ReasonDied, Status: 123, Message: "the guest ended without a word"}, "the kernel does not come up: the guest ended without a word"},
		{qemu.Result{Reason: qemu.ReasonDied, Status: 123, Message: "it ended", Durations: qemu.Durations{Boot: 1}}, "out of memory when init is up: it ended"},
	} {
		if got := shortage(tt.r); got != tt.want {
			t.Errorf("shortage(%+v) = %q, want %q", tt.r, got, tt.want)
		}
	}
}

// TestReplay reads a stream several times: whole, in part, and past its end.
func TestReplay(t *testing.T) {
	text := strings.Repeat("a line of input\n", 10_000)
	r := newReplay(iotest.OneByteReader(strings.NewReader(text)))
	part := make([]byte, 40)
	if _, err := io.ReadFull(r.reader(), part); err != nil || string(part) != text[:40] {
		t.Errorf("the first reader got %q, %v", part, err)
	}
	for range 2 {
		if got, err := io.ReadAll(r.reader()); err != nil || string(got) != text {
			t.Errorf("a reader got %d bytes, %v, want %d", len(got), err, len(text))
		}
	}
	broken := newReplay(io.MultiReader(strings.NewReader("x"), iotest.ErrReader(io.ErrUnexpectedEOF)))
	for range 2 {
		if got, err := io.ReadAll(broken.reader()); !errors.Is(err, io.ErrUnexpectedEOF) || string(got) != "x" {
			t.Errorf("a broken stream gives %q, %v", got, err)
		}
	}
}
