//go:build linux

package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// program prepares a run of the program in mounts of its own. script is what a
// shell does there; $P is the program.
func program(t *testing.T, cmdline, script string, args ...string) *exec.Cmd {
	t.Helper()
	needRoot(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", append([]string{"--mount", "sh", "-c", script, "sh"}, args...)...)
	cmd.Env = append(os.Environ(), "P="+self, asProgram+"=1", "RAMBOX_CMDLINE="+cmdline)
	return cmd
}

// TestProgram goes all the way, for each kind of image.
func TestProgram(t *testing.T) {
	needRoot(t)
	tree := newcEntry{name: "hello", mode: unix.S_IFREG | 0o644, links: 1, body: "hello"}
	for _, tc := range []struct {
		name  string
		image []byte
	}{
		{"squashfs", makeSquashfs(t)},
		{"ext4", makeExt(t, "ext4")},
		{"cpio", makeNewc(tree)},
		{"cpio, zstd", tool(t, makeNewc(tree), "zstd", "-c")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, cutAfter(len(tc.image)/2, serve(tc.image, `"x"`)), serve(tc.image, `"x"`))
			cmd := program(t, "quiet rambox.digest="+digestOf(tc.image).String(),
				`"$P" "$1" "$2" && mountpoint -q "$2" && cat "$2/hello"`, s.URL+"/root", t.TempDir())
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil || string(out) != "hello" {
				t.Fatalf("%v, %q, want hello\n%s", err, out, &stderr)
			}
			mentions(t, stderr.String(), "cut after", "as it must be")
		})
	}
}

// TestProgramFails looks at statuses and last lines.
func TestProgramFails(t *testing.T) {
	image := makeNewc(newcEntry{name: "a", mode: unix.S_IFDIR})
	s := newSite(t, serve(image, `"x"`))
	tls := httptest.NewTLSServer(serve(image, `"x"`))
	t.Cleanup(tls.Close)
	right, wrong := "rambox.digest="+digestOf(image).String(), "rambox.digest="+digestOf(nil).String()
	const run = `SSL_CERT_FILE=/dev/null SSL_CERT_DIR=/dev/null "$P" "$@"; s=$?; mountpoint -q "$2" && echo mounted >&2; exit $s`
	for _, tc := range []struct {
		name, cmdline string
		args          []string
		status        int
		last          string
	}{
		{"no arguments", right, nil, badArguments, "usage:"},
		{"no digest", "quiet", []string{s.URL, t.TempDir()}, badArguments, "give rambox.digest=sha256:HEX"},
		{"a wrong digest", wrong, []string{s.URL, t.TempDir()}, notMounted, "wrong digest"},
		{"no CA certificates", "rambox.insecure", []string{tls.URL, t.TempDir()}, notMounted, "add /etc/ssl/certs/ca-certificates.crt"},
		{"no target", right, []string{s.URL, "/nonexistent"}, notMounted, "no such file"},
		{"no CA certificates, with a digest", right, []string{tls.URL, t.TempDir()}, mounted, "mounted"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cmd := program(t, tc.cmdline, run, tc.args...)
			out, err := cmd.CombinedOutput()
			if status := cmd.ProcessState.ExitCode(); status != tc.status {
				t.Errorf("%v, want status %d", err, tc.status)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			if last := lines[len(lines)-1]; !strings.Contains(last, tc.last) {
				t.Errorf("the last line is %q, want %q in it; all:\n%s", last, tc.last, out)
			}
		})
	}
}

// TestProgramStops sends SIGTERM in the middle of a body.
func TestProgramStops(t *testing.T) {
	image := testImage(1 << 20)
	reached := make(chan struct{})
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1048576")
		w.Write(image[:1000])
		http.NewResponseController(w).Flush()
		close(reached)
		<-r.Context().Done()
	})
	cmd := program(t, "rambox.insecure", `exec "$P" "$@"`, s.URL, t.TempDir())
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-reached
	began := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	var last string
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		last = lines.Text()
	}
	cmd.Wait()
	if d := time.Since(began); d > patient/2 {
		t.Errorf("it has taken %v to stop", d)
	}
	if status := cmd.ProcessState.ExitCode(); status != notMounted || !strings.Contains(last, "stopped by a signal") {
		t.Errorf("status %d, last line %q", status, last)
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"-h"}} {
		var out bytes.Buffer
		if got := command(t.Context(), args, "", &out, logger{io.Discard}); got != 0 || !strings.HasPrefix(out.String(), "usage: http-root ROOT TARGET\n") {
			t.Errorf("%v: status %d, %q", args, got, &out)
		}
	}
}

// TestLines writes nothing that a terminal obeys.
func TestLines(t *testing.T) {
	var out bytes.Buffer
	logger{&out}.printf("%s", "a\x1b[31m\nb\u009bc\x7f größe")
	if got, want := out.String(), "a?[31m?b?c? größe\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
