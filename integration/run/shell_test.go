//go:build linux

package run

import (
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

func TestShell(t *testing.T) {
	t.Parallel()
	s := sit(t, "--shell")
	before := s.modes()
	s.start()
	s.expect("# ")
	s.send("stty size; tty; echo $TERM\n")
	s.expect("30 100")
	s.expect("/dev/pts/")
	s.expect("xterm-256color")
	s.expect("# ")
	if s.modes() == before {
		t.Error("the terminal is not in raw mode")
	}

	// Job control: stop a program, look at it, end it.
	s.send("sh -c 'echo star\"\"ted; sleep 1000'\n")
	s.expect("started")
	s.send("\x1a")
	s.expect("Stopped")
	s.expect("# ")
	s.send("jobs; kill -KILL %1; wait; echo wait''ed\n")
	s.expect("waited")
	s.expect("# ")

	// A new size reaches programs in the guest.
	s.send("trap 'stty size' WINCH; echo tra''pped\n")
	s.expect("trapped")
	if err := pty.Setsize(s.pty, &pty.Winsize{Rows: 41, Cols: 123}); err != nil {
		t.Fatal(err)
	}
	s.send("\n")
	s.send("stty size\n")
	s.expect("41 123")

	s.send("exit 7\n")
	if got := s.end(); got != 7 {
		t.Errorf("status %d, want 7", got)
	}
	if s.modes() != before {
		t.Error("the terminal is not as it was")
	}
}

// TestTerminalAfterACrash: whatever ends the guest or rambox, the terminal is as
// before, and nothing is left.
func TestTerminalAfterACrash(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		args []string
		help string // what rambox says of the escape key
		keys string
		end  func(*screen)
		want int
	}{
		{name: "kernel panic", keys: "echo c > /proc/sysrq-trigger\n", want: 123},
		{name: "escape", help: "ctrl-a x ends the machine", keys: "\x01x", want: 130},
		{name: "another escape", args: []string{"--escape", "ctrl-]"}, help: "ctrl-] x ends the machine", keys: "\x01x\x1dx", want: 130},
		{name: "no escape", args: []string{"--escape", "none"}, help: "there is no escape key", keys: "\x01x\x15exit 9\n", want: 9},
		{name: "SIGTERM", end: func(s *screen) { s.signal(unix.SIGTERM) }, want: 143},
		{name: "SIGHUP", end: func(s *screen) { s.signal(unix.SIGHUP) }, want: 129},
		{name: "QEMU is killed", end: func(s *screen) { s.kill("qemu-system") }, want: 123},
		{name: "rambox is killed", end: func(s *screen) { s.signal(unix.SIGKILL) }, want: -1},
		{name: "rambox crashes", end: func(s *screen) { s.signal(unix.SIGSEGV) }, want: 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := sit(t, append(tc.args, "--shell")...)
			before := s.modes()
			s.start()
			s.expect(tc.help)
			s.expect("# ")
			if tc.end != nil {
				tc.end(s)
			}
			s.send(tc.keys)
			if got := s.end(); got != tc.want {
				t.Errorf("status %d, want %d", got, tc.want)
			}
			s.mark.clean()
			if s.modes() != before {
				t.Error("the terminal is not as it was")
			}
		})
	}
}

// TestScreenAfterACrash: an editor's second screen, a hidden cursor and colours
// go with the guest.
func TestScreenAfterACrash(t *testing.T) {
	t.Parallel()
	s := sit(t, "--tty", "--", "sh", "-c", `printf '\033[?1049h\033[?25l\033[41mfull screen'; read -r key; echo c > /proc/sysrq-trigger`)
	s.start()
	s.expect("full screen") // all of it, or the crash would take it along
	s.send("\n")
	s.expect("\x1b[?1049l\x1b[?25h\x1b[m")
	s.expect("Kernel panic")
	if got := s.end(); got != 123 {
		t.Errorf("status %d, want 123", got)
	}
}

// TestKeysDuringTheBoot: the escape key and ctrl-c end a machine whose program
// does not run yet.
func TestKeysDuringTheBoot(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, keys, message string }{
		{"escape", "\x01x", "stopped: ended by ctrl-a x"},
		{"ctrl-c", "\x03", "stopped: ended by ctrl-c before the program ran"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// No init of ours ever comes up.
			s := sit(t, "--tty", "--append", "rdinit=/bin/sleep -- 1000", "--", "true")
			before := s.modes()
			s.start()
			s.expect("ctrl-a x ends the machine")
			s.send(tc.keys)
			s.expect(tc.message)
			if got := s.end(); got != 130 {
				t.Errorf("status %d, want 130", got)
			}
			s.mark.clean()
			if s.modes() != before {
				t.Error("the terminal is not as it was")
			}
		})
	}
}

// TestProgramOnATerminal is what -it promises: the program's terminal has the
// size of ours at the start and after each change, and its keys.
func TestProgramOnATerminal(t *testing.T) {
	t.Parallel()
	s := sit(t, "-it", "--", "sh", "-c", `stty size; trap 'stty size; echo chan""ged' WINCH; trap 'echo inter""rupted; exit 3' INT; echo rea""dy; while :; do sleep 1; done`)
	s.start()
	s.expect("30 100")
	s.expect("ready")
	if err := pty.Setsize(s.pty, &pty.Winsize{Rows: 41, Cols: 123}); err != nil {
		t.Fatal(err)
	}
	s.expect("41 123")
	s.expect("changed")
	s.send("\x03")
	s.expect("interrupted")
	if got := s.end(); got != 3 {
		t.Errorf("status %d, want 3", got)
	}
	s.mark.clean()
}

// TestShellWithoutATerminal is refused with a reason.
func TestShellWithoutATerminal(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--shell"}, {"--tty", "--", "true"}, {"-it", "--", "sh"}} {
		got := run(t, nil, args...)
		if want := "rambox: --shell and --tty want a terminal as standard input; without them, the program gets pipes\n"; got.status != 125 || got.stderr != want {
			t.Errorf("%q: status %d, error %q, want 125 and %q", args, got.status, got.stderr, want)
		}
	}
}
