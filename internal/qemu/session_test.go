//go:build linux

package qemu

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// writable is a machine whose guest is let power off by itself.
func writable() Machine { return Machine{Disks: []Disk{{Path: "d"}}} }

// TestSessionEnds has a row for every way in which a session ends.
func TestSessionEnds(t *testing.T) {
	for _, tt := range []struct {
		name   string
		s      Session
		guest  func(g *fake)
		want   Result
		errHas string
	}{
		{
			name:  "exit 0",
			guest: func(g *fake) { g.up(); g.send(g.control, "exit 0 0 0\n") },
			want:  Result{Status: 0, Reason: ReasonExit},
		},
		{
			name:  "exit status above 122 passes",
			guest: func(g *fake) { g.up(); g.send(g.control, "exit 124 0 0\n") },
			want:  Result{Status: 124, Reason: ReasonExit},
		},
		{
			name: "a writable disk waits for the power-off",
			s:    Session{Machine: writable()},
			guest: func(g *fake) {
				g.up()
				g.send(g.control, "exit 3 0 0\n")
				g.hear("done")
				g.send(g.console, "bye")
				g.end(Exit{})
			},
			want: Result{Status: 3, Reason: ReasonExit, ConsoleTail: "bye"},
		},
		{
			name:  "signal",
			guest: func(g *fake) { g.up(); g.send(g.control, "signal 11 0 0\n") },
			want:  Result{Status: 139, Reason: ReasonSignal, Signal: 11, Message: "the program was killed by signal 11 (segmentation fault)"},
		},
		{
			name:  "out of memory",
			guest: func(g *fake) { g.up(); g.send(g.control, "signal 9 0 0 oom\n") },
			want: Result{
				Status: 137, Reason: ReasonSignal, Signal: 9, OOM: true,
				Message: "the guest ran out of memory: its kernel killed the program (signal 9)",
			},
		},
		{
			name:  "not executable",
			guest: func(g *fake) { g.send(g.control, "boot\nnoexec /app: exec format error\n"); g.end(Exit{}) },
			want:  Result{Status: 126, Reason: ReasonNoExec, Message: "/app: exec format error"},
		},
		{
			name:  "not found",
			guest: func(g *fake) { g.send(g.control, "boot\nnotfound /app\n"); g.end(Exit{}) },
			want:  Result{Status: 127, Reason: ReasonNotFound, Message: "/app"},
		},
		{
			name:  "boot failed",
			guest: func(g *fake) { g.send(g.control, "boot\nfailed no root\n"); g.end(Exit{}) },
			want:  Result{Status: 125, Reason: ReasonBoot, Message: "the boot failed: no root"},
		},
		{
			name:  "boot failed and the guest stays",
			guest: func(g *fake) { g.send(g.control, "boot\nfailed no root\n") },
			want:  Result{Status: 125, Reason: ReasonBoot, Message: "the boot failed: no root"},
		},
		{
			name: "panic that ends QEMU",
			guest: func(g *fake) {
				g.up()
				g.send(g.console, "[ 1.0] Kernel panic - not syncing: no init\r\n[ 1.1] ---[ end Kernel panic - not syncing: no init ]---\r\n")
				g.end(Exit{})
			},
			want: Result{
				Status: 123, Reason: ReasonPanic, Message: "the guest's kernel panicked: Kernel panic - not syncing: no init",
				ConsoleTail: "[ 1.0] Kernel panic - not syncing: no init\r\n[ 1.1] ---[ end Kernel panic - not syncing: no init ]---\r\n",
			},
		},
		{
			name:  "panic that hangs, its line cut short",
			guest: func(g *fake) { g.send(g.console, "Kernel panic - not syncing: a\r\nb") },
			want: Result{
				Status: 123, Reason: ReasonPanic, Message: "the guest's kernel panicked: Kernel panic - not syncing: a",
				ConsoleTail: "Kernel panic - not syncing: a\r\nb",
			},
		},
		{
			name: "words of a panic before the program's end",
			guest: func(g *fake) {
				g.up()
				g.send(g.console, "Kernel panic - not syncing: a\r\n")
				g.send(g.control, "exit 7 0 0\n")
			},
			want: Result{Status: 7, Reason: ReasonExit, ConsoleTail: "Kernel panic - not syncing: a\r\n"},
		},
		{
			name:  "died while booting",
			guest: func(g *fake) { g.end(Exit{}) },
			want:  Result{Status: 123, Reason: ReasonDied, Message: "the guest ended without a word; the guest's init never came up"},
		},
		{
			name:  "died while the program ran",
			guest: func(g *fake) { g.up(); g.end(Exit{}) },
			want:  Result{Status: 123, Reason: ReasonDied, Message: "the guest ended without a word; the program was running"},
		},
		{
			name:   "QEMU fails at once",
			guest:  func(g *fake) { g.end(Exit{Code: 1, Stderr: "qemu: no such machine\n"}) },
			want:   Result{Status: 125, Reason: ReasonQEMU, Message: "QEMU ended with status 1: qemu: no such machine"},
			errHas: "no such machine",
		},
		{
			name:   "QEMU crashes later",
			guest:  func(g *fake) { g.up(); g.end(Exit{Code: -1, Signal: syscall.SIGABRT, Stderr: "assertion"}) },
			want:   Result{Status: 123, Reason: ReasonDied, Message: "QEMU was killed by signal 6 (aborted): assertion"},
			errHas: "assertion",
		},
		{
			name:  "time limit while booting",
			s:     Session{Timeout: 50 * time.Millisecond},
			guest: func(g *fake) { g.send(g.control, "boot\n") },
			want: Result{
				Status: 124, Reason: ReasonTimeout,
				Message: "the time limit of 50ms ran out; the guest was booting: its init was up, the program was not",
			},
		},
		{
			name:  "output lost",
			s:     Session{Machine: writable()},
			guest: func(g *fake) { g.up(); g.send(g.stdout, "abc"); g.send(g.control, "exit 0 5 0\n"); g.end(Exit{}) },
			want:  Result{Status: 0, Reason: ReasonExit}, errHas: "3 of 5 bytes of stdout",
		},
		{
			name: "noise on the control port",
			guest: func(g *fake) {
				g.send(g.control, "\x00\xff\nexit\nsignal 999 0 0\nboot 1 2\nexit 1 2 3 4\n\n%s\n", strings.Repeat("exit 1 ", 100000))
				g.up()
				g.send(g.control, "exit 5 0 0\n")
			},
			want: Result{Status: 5, Reason: ReasonExit},
		},
		{
			name:  "control port closes early",
			guest: func(g *fake) { g.up(); g.control.Close(); g.send(g.console, "rambox-N: exit 9\r\n"); g.end(Exit{}) },
			want:  Result{Status: 9, Reason: ReasonExit},
		},
		{
			name: "only a console",
			s:    Session{Machine: writable()},
			guest: func(g *fake) {
				g.send(g.console, "rambox-N: boot\r\nrambox-N: start\r\nrambox-M: exit 1\r\n")
				g.send(g.console, "[ 1.0] noisramb")
				g.send(g.console, "ox-N: exit 42\r\n[ 1.1] reboot: Power down\r\n")
				g.end(Exit{})
			},
			want: Result{Status: 42, Reason: ReasonExit, ConsoleTail: "rambox-M: exit 1\r\n[ 1.0] nois[ 1.1] reboot: Power down\r\n"},
		},
		{
			name:  "only a console, and nothing to save",
			guest: func(g *fake) { g.send(g.console, "rambox-N: boot\r\nrambox-N: start\r\nrambox-N: exit 4\r\n") },
			want:  Result{Status: 4, Reason: ReasonExit},
		},
		{
			name: "only a console, where a program prints a panic",
			s:    Session{Machine: writable()},
			guest: func(g *fake) {
				g.send(g.console, "rambox-N: start\r\nKernel panic - not syncing: x\r\nrambox-N: signal 9 oom\r\n")
				g.end(Exit{})
			},
			want: Result{
				Status: 137, Reason: ReasonSignal, Signal: 9, OOM: true,
				Message:     "the guest ran out of memory: its kernel killed the program (signal 9)",
				ConsoleTail: "Kernel panic - not syncing: x\r\n",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := startFake(t.Context(), t, tt.s)
			tt.guest(g)
			got, err := g.result()
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(Result{}, "Durations")); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			if (err == nil) != (tt.errHas == "") || err != nil && !strings.Contains(err.Error(), tt.errHas) {
				t.Errorf("error = %v, want one with %q", err, tt.errHas)
			}
		})
	}
}

func TestSessionContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	g := startFake(ctx, t, Session{})
	g.up()
	cancel(errors.New("enough"))
	if res, _ := g.result(); res.Status != 130 || res.Reason != ReasonInterrupted || !strings.Contains(res.Message, "enough") {
		t.Errorf("after cancel: %+v", res)
	}
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer stop()
	if res, _ := startFake(ctx, t, Session{}).result(); res.Status != 124 || res.Reason != ReasonTimeout {
		t.Errorf("after the deadline: %+v", res)
	}
}

func TestSessionSignals(t *testing.T) {
	signals := make(chan os.Signal)
	g := startFake(t.Context(), t, Session{Signals: signals})
	signals <- syscall.SIGUSR1 // nobody there yet: dropped
	signals <- syscall.SIGTERM
	if res, _ := g.result(); res.Status != 143 || res.Reason != ReasonInterrupted || res.Signal != 15 {
		t.Errorf("TERM before the start: %+v", res)
	}

	sizes := make(chan Winsize)
	g = startFake(t.Context(), t, Session{Signals: signals, Winsize: sizes})
	sizes <- Winsize{Rows: 24, Cols: 80}
	g.up()
	g.hear("winsize 24 80")
	g.stdin.Read(make([]byte, 1)) // its end shows that "start" has been heard
	signals <- syscall.SIGTERM
	g.hear("signal 15")
	g.send(g.control, "signal 15 0 0\n")
	if res, _ := g.result(); res.Status != 143 || res.Reason != ReasonSignal {
		t.Errorf("TERM to the program: %+v", res)
	}

	g = startFake(t.Context(), t, Session{Signals: signals})
	g.up()
	g.stdin.Read(make([]byte, 1))
	signals <- syscall.SIGINT
	g.hear("signal 2")
	signals <- syscall.SIGTERM
	g.hear("signal 15")
	signals <- syscall.SIGINT
	if res, _ := g.result(); res.Status != 130 || res.Reason != ReasonInterrupted {
		t.Errorf("the second INT: %+v", res)
	}
}

// TestSessionSignalsAtATerminal: they are for us. A guest that writes to a disk may put it in order first.
func TestSessionSignalsAtATerminal(t *testing.T) {
	signals := make(chan os.Signal)
	g := startFake(t.Context(), t, Session{Signals: signals, TTY: true})
	g.up()
	g.stdin.Read(make([]byte, 1))
	signals <- syscall.SIGUSR1
	g.hear("signal 10")
	signals <- syscall.SIGTERM
	if res, _ := g.result(); res.Status != 143 || res.Reason != ReasonInterrupted {
		t.Errorf("TERM: %+v", res)
	}

	writable := Session{Signals: signals, TTY: true, Machine: Machine{Disks: []Disk{{Path: "/dev/null"}}}}
	g = startFake(t.Context(), t, writable)
	g.up()
	g.stdin.Read(make([]byte, 1))
	signals <- syscall.SIGTERM
	g.hear("signal 1")
	g.send(g.control, "signal 1 0 0\n")
	g.end(Exit{})
	if res, _ := g.result(); res.Status != 129 || res.Reason != ReasonSignal {
		t.Errorf("TERM with a disk: %+v", res)
	}

	g = startFake(t.Context(), t, writable)
	g.up()
	g.stdin.Read(make([]byte, 1))
	signals <- syscall.SIGTERM
	g.hear("signal 1")
	signals <- syscall.SIGTERM
	if res, _ := g.result(); res.Status != 143 || res.Reason != ReasonInterrupted {
		t.Errorf("TERM with a disk, twice: %+v", res)
	}
}

func TestResultJSON(t *testing.T) {
	got, err := json.Marshal(Result{Status: 137, Reason: ReasonSignal, Signal: 9, OOM: true, Message: "m", Durations: Durations{Total: 5}, ConsoleTail: "t"})
	const want = `{"status":137,"reason":"signal","signal":9,"oom":true,"message":"m",` +
		`"durations":{"boot_ns":0,"program_ns":0,"shutdown_ns":0,"total_ns":5},"console_tail":"t"}`
	if err != nil || string(got) != want {
		t.Errorf("Marshal = %s, %v, want %s", got, err, want)
	}
}

func TestNewNonce(t *testing.T) {
	a, b := NewNonce(), NewNonce()
	if len(a) != 32 || a == b {
		t.Errorf("NewNonce() = %q, then %q", a, b)
	}
}

// endless is a standard input that never comes.
func endless(t *testing.T) io.Reader {
	r, w := io.Pipe()
	t.Cleanup(func() { w.Close() })
	return r
}

func TestSessionEndlessStdin(t *testing.T) {
	g := startFake(t.Context(), t, Session{Stdin: endless(t)})
	g.up()
	g.send(g.control, "exit 1 0 0\n")
	if res, err := g.result(); res.Status != 1 || err != nil {
		t.Errorf("with a stdin that never ends: %+v, %v", res, err)
	}
}

func TestSessionConsoleStreams(t *testing.T) {
	for _, tt := range []struct {
		name, stdin string
		tty         bool
		typed, out  string
	}{
		{"pipe", "ab\n", false, "ab\n\x04", "one\ntwo"},
		{"pipe without a last line end", "ab", false, "ab\x04\x04", "one\ntwo"},
		{"empty pipe", "", false, "\x04", "one\ntwo"},
		{"terminal", "\x03", true, "\x03\x04\x04", "one\r\ntwo"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, log bytes.Buffer
			g := startFake(t.Context(), t, Session{
				Machine: writable(), Stdin: strings.NewReader(tt.stdin), Stdout: &out, ConsoleLog: &log, TTY: tt.tty,
			})
			g.send(g.console, "[ 0.1] hello\r\nrambox-N: boot\r\nrambox-N: start\r\n")
			typed := make([]byte, len(tt.typed))
			if _, err := io.ReadFull(g.console, typed); err != nil || string(typed) != tt.typed {
				t.Errorf("typed %q, %v, want %q", typed, err, tt.typed)
			}
			g.send(g.console, "one\r\ntwo\r\r\nrambox-N: exit 0\r\n[ 2.0] reboot: Power down\r\n")
			g.end(Exit{})
			if res, err := g.result(); res.Status != 0 || err != nil {
				t.Errorf("result %+v, %v", res, err)
			}
			if out.String() != tt.out {
				t.Errorf("stdout %q, want %q", out.String(), tt.out)
			}
			if want := "[ 0.1] hello\r\n[ 2.0] reboot: Power down\r\n"; log.String() != want {
				t.Errorf("console log %q, want %q", log.String(), want)
			}
		})
	}
}
