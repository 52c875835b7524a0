//go:build linux

package run

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"rambox/internal/vmtest"
)

// TestKeptCommandLine: what --keep and --print-qemu leave can be run by hand.
func TestKeptCommandLine(t *testing.T) {
	t.Parallel()
	mark := newMark(t)
	disk := filepath.Join(t.TempDir(), "it's a disk")
	if err := os.WriteFile(disk, []byte("words on the disk\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(disk, 1<<20); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(vmtest.Rambox(t), "run", "--kernel", vmtest.CloudKernel(t).Path, "--keep", "--print-qemu", "--disk", filepath.Base(disk),
		"--", "sh", "-c", `busybox head -n 1 /dev/vda; exit 3`)
	cmd.Env, cmd.Dir = mark.environ(), filepath.Dir(disk)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, _ := cmd.Output()
	if string(out) != "words on the disk\n" || cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("%v, output %q, error %s", cmd.ProcessState, out, &errs)
	}
	match := regexp.MustCompile(`^rambox: the image is (\S+)\n(qemu-system-.*)\n$`).FindStringSubmatch(errs.String())
	if match == nil {
		t.Fatalf("rambox says %q", errs.String())
	}
	if filepath.Dir(match[1]) != mark.tmp || !strings.Contains(match[2], match[1]) {
		t.Errorf("the image is %s, in the command line %s", match[1], match[2])
	}
	byHand := exec.Command("sh", "-c", match[2])
	byHand.Env = mark.environ()
	console, err := byHand.CombinedOutput()
	if err != nil || !strings.Contains(vmtest.Programs(string(console)), "\nwords on the disk\r\n") || !strings.Contains(string(console), ": exit 3") {
		t.Errorf("by hand: %v\n%s\n%s", err, match[2], console)
	}
}

// TestSeeMore: a failure says how to see more of it, and that can be run.
func TestSeeMore(t *testing.T) {
	t.Parallel()
	got := run(t, nil, "--append", "rambox init=/absent", "--", "sh", "-c", "echo it\\'s not to run")
	match := regexp.MustCompile(`(?m)^rambox: to see more of it: (.* run --verbose --keep --print-qemu .*)$`).FindStringSubmatch(got.stderr)
	if got.status != 125 || match == nil {
		t.Fatalf("status %d, error %s", got.status, got.stderr)
	}
	mark := newMark(t)
	cmd := exec.Command("sh", "-c", match[1])
	cmd.Env = mark.environ()
	out, _ := cmd.CombinedOutput()
	for _, want := range []string{"the image is " + mark.tmp, "\nqemu-system-", "Linux version ", "/absent"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s does not show %q:\n%s", match[1], want, out)
		}
	}
	if strings.Contains(string(out), "to see more") || cmd.ProcessState.ExitCode() != 125 {
		t.Errorf("%v:\n%s", cmd.ProcessState, out)
	}
	if got := run(t, nil, "--", "sh", "-c", "exit 9"); got.stderr != "" {
		t.Errorf("a program's own status is explained: %s", got.stderr)
	}
}

// cast is a recording as a player reads it.
type cast struct {
	Version, Width, Height int
	Command                string
	text                   string
	sizes                  []string
}

func readCast(t *testing.T, file string) cast {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var c cast
	d := json.NewDecoder(f)
	if err := d.Decode(&c); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		var at float64
		var code, data string
		if err := d.Decode(&[]any{&at, &code, &data}); err != nil {
			t.Fatal(err)
		}
		switch code {
		case "o":
			c.text += data
		case "r":
			c.sizes = append(c.sizes, data)
		default:
			t.Errorf("an event of kind %q", code)
		}
	}
	return c
}

// TestRecordedTerminal has all that the screen showed of the program.
func TestRecordedTerminal(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "session.cast")
	s := sit(t, "--record", file, "--tty", "--", "sh", "-c", `stty size; printf '\033[31mré€d\033[m\n'; read line; echo "<$line>"; stty size; exit 4`)
	s.start()
	s.expect("ré€d\x1b[m\r\n")
	if err := pty.Setsize(s.pty, &pty.Winsize{Rows: 41, Cols: 123}); err != nil {
		t.Fatal(err)
	}
	s.send("typed\n")
	if got := s.end(); got != 4 {
		t.Errorf("status %d, want 4", got)
	}
	got := readCast(t, file)
	const want = "30 100\r\n\x1b[31mré€d\x1b[m\r\ntyped\r\n<typed>\r\n41 123\r\n"
	if got.text != want || got.Version != 2 || got.Width != 100 || got.Height != 30 || fmt.Sprint(got.sizes) != "[123x41]" || !strings.HasPrefix(got.Command, "sh -c stty size;") {
		t.Errorf("the recording is %+v, want the text %q", got, want)
	}
}

// TestRecordedRun has standard output and error, and the console if it is
// shown, as a terminal would have shown them.
func TestRecordedRun(t *testing.T) {
	t.Parallel()
	for _, verbose := range []bool{false, true} {
		file := filepath.Join(t.TempDir(), "run.cast")
		args := []string{"--record", file, "--", "sh", "-c", `echo out; sleep 1; echo err >&2; exit 5`}
		if verbose {
			args = append([]string{"--verbose"}, args...)
		}
		got := run(t, nil, args...)
		if got.status != 5 || got.stdout != "out\n" || !strings.HasSuffix(got.stderr, "err\n") && !verbose {
			t.Errorf("status %d, output %q, error %q", got.status, got.stdout, got.stderr)
		}
		rec := readCast(t, file)
		if !verbose && rec.text != "out\r\nerr\r\n" || !strings.Contains(rec.text, "out\r\n") || !strings.Contains(rec.text, "err\r\n") {
			t.Errorf("the recording has %q", rec.text)
		}
		if verbose != strings.Contains(rec.text, "Linux version ") {
			t.Errorf("with --verbose=%v the recording has %q", verbose, rec.text)
		}
	}
	got := run(t, nil, "--record", "/no/such/directory/x", "--", "true")
	if want := "rambox: --record: open /no/such/directory/x: no such file or directory\n"; got.status != 125 || got.stderr != want {
		t.Errorf("status %d, error %q, want %q", got.status, got.stderr, want)
	}
	got = run(t, nil, "--record", "/dev/full", "--", "true")
	if got.status != 125 || !strings.Contains(got.stderr, "no space left on device") {
		t.Errorf("on a full device: status %d, error %q", got.status, got.stderr)
	}
}

// TestDebugger speaks gdb's remote protocol with a machine that waits for it,
// on a port and on a unix socket.
func TestDebugger(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "gdb.sock")
	for _, tc := range []struct{ flag, network string }{{"--gdb=0", "tcp"}, {"--gdb=" + socket, "unix"}} {
		t.Run(tc.network, func(t *testing.T) {
			g := startGuest(t, nil, tc.flag, "--", "sh", "-c", "cat /proc/cmdline; cat")
			line, err := g.stderr.ReadString('\n')
			for err == nil && !strings.Contains(line, "target remote ") {
				line, err = g.stderr.ReadString('\n')
			}
			match := regexp.MustCompile(`'target remote (\S+)'.* -ex continue\n$`).FindStringSubmatch(line)
			if match == nil {
				t.Fatalf("rambox says %q, %v", line, err)
			}
			conn, err := net.Dial(tc.network, match[1])
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(screenLimit))
			r := bufio.NewReader(conn)
			if got := ask(t, conn, r, "?"); !strings.HasPrefix(got, "T05") {
				t.Errorf("the machine is in state %q, want T05", got)
			}
			fmt.Fprintf(conn, "$c#%02x", 'c')
			if got := g.line(); !strings.Contains(got, " nokaslr") {
				t.Errorf("the kernel's command line is %q", got)
			}
			g.end()
			if _, err := os.Stat(socket); err == nil {
				t.Error("the socket is left")
			}
		})
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for flag, want := range map[string]string{
		port:            "listen on 127.0.0.1:" + port + ": address already in use",
		"x":             "want a TCP port, or the path of a unix socket with a / in it",
		"/etc/passwd":   "/etc/passwd is there and is no socket",
		"/no/such/sock": "listen on /no/such/sock: no such file or directory",
	} {
		got := run(t, nil, "--gdb="+flag, "--", "true")
		if want := "rambox: --gdb=" + flag + ": " + want + "\n"; got.status != 125 || got.stderr != want {
			t.Errorf("status %d, error %q, want 125 and %q", got.status, got.stderr, want)
		}
	}
}

// ask sends a packet and returns the answer to it (gdb's manual, Remote
// Protocol).
func ask(t *testing.T, w io.Writer, r *bufio.Reader, packet string) string {
	t.Helper()
	sum := byte(0)
	for _, c := range []byte(packet) {
		sum += c
	}
	fmt.Fprintf(w, "$%s#%02x", packet, sum)
	if _, err := r.ReadString('$'); err != nil {
		t.Fatal(err)
	}
	answer, err := r.ReadString('#')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, r, 2); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "+"); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(answer, "#")
}
