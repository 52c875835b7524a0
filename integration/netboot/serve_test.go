//go:build linux

package netboot_test

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// buildRambox builds the program that is tested.
func buildRambox(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "rambox")
	cmd := exec.Command("go", "build", "-o", program, "../../cmd/rambox")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	return program
}

// serving is a rambox serve that runs.
type serving struct {
	cmd *exec.Cmd
	log *bufio.Scanner
}

// startServe starts rambox serve in the server's namespace and waits until it says
// that it is ready.
func (l *lab) startServe(program string, args ...string) *serving {
	l.t.Helper()
	path := filepath.Join(l.t.TempDir(), "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		l.t.Fatal(err)
	}
	defer notify.Close()
	cmd := exec.Command("ip", append([]string{"netns", "exec", l.server, program, "serve"}, args...)...)
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	s := &serving{cmd, bufio.NewScanner(stderr)}
	notify.SetReadDeadline(time.Now().Add(patience))
	if _, err := notify.Read(make([]byte, 64)); err != nil {
		cmd.Process.Kill()
		s.until(l.t, "no such line, to see them all")
	}
	return s
}

// until reads the log up to a line that has a text in it.
func (s *serving) until(t testing.TB, text string) string {
	t.Helper()
	// One that never comes would keep us for ever.
	stop := time.AfterFunc(patience, func() { s.cmd.Process.Kill() })
	defer stop.Stop()
	var seen []string
	for s.log.Scan() {
		seen = append(seen, s.log.Text())
		if strings.Contains(s.log.Text(), text) {
			return s.log.Text()
		}
	}
	t.Fatalf("%v: its log has no %q:\n%s", s.cmd.Args, text, strings.Join(seen, "\n"))
	return ""
}

// TestServe follows a machine from its first packet to its report, through a
// change of the configuration, and beyond the server's violent end.
func TestServe(t *testing.T) {
	program, l, dir := buildRambox(t), newLab(t, 1), t.TempDir()
	config, state := filepath.Join(dir, "serve.toml"), filepath.Join(dir, "state")
	text := `listen = "10.9.0.1"
kernel = "kernel"
image = "image"
[[subnet]]
network = "10.9.0.0/16"
[[node]]
mac = "52:54:00:00:00:00"
hostname = "n0"
address = "10.9.1.7"
append = "who=${hostname} at=${ip}"
`
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("kernel", "the kernel")
	write("image", "the image")
	write("serve.toml", text)
	s := l.startServe(program, "--config", config, "--state", state)
	must := func(out string, err error, want ...string) {
		t.Helper()
		for _, w := range want {
			if err != nil || !strings.Contains(out, w) {
				t.Fatalf("%v:\n%s\nwant %q", err, out, w)
			}
		}
	}
	status := func() (string, error) {
		out, err := exec.Command(program, "serve", "status", "--state", state).CombinedOutput()
		return string(out), err
	}
	out, err := l.udhcpc("c0")
	must(out, err, "bound 10.9.1.7/16")
	out, err = status()
	must(out, err, "leased", "n0", "10.9.1.7", "52:54:00:00:00:00")
	l.ip("-n", l.clients, "addr", "add", "10.9.1.7/16", "dev", "c0")

	get := func(url string, more ...string) (string, error) {
		return l.run("busybox", append([]string{"wget", "-q", "-O", "-", "http://10.9.0.1:8080/" + url}, more...)...)
	}
	out, err = get("ipxe/mac=52:54:00:00:00:00,uuid=,arch=x64")
	must(out, err, "rambox.report=http://10.9.0.1:8080/report/52:54:00:00:00:00", "who=n0 at=10.9.1.7", "/kernel", "/image")
	s.until(t, "ipxe/mac")
	out, err = get("report", "--post-data", `{"state":"running","detail":"/app","hostname":"n0","boot":{"version":1,"release":"6.1","init":0.5,"now":0.6,"stages":[],"waits":[],"modules":[]}}`)
	must(out, err, "")
	out, err = status()
	must(out, err, "running", "0.600s (kernel 0.500)", "/app")
	if out, err := get("status"); err == nil {
		t.Errorf("a machine reads the status of all:\n%s", out)
	}

	write("serve.toml", text+"apend = \"\"\n")
	s.until(t, "the old configuration stays: "+config+":11: apend: is no key of node")
	write("serve.toml", strings.Replace(text, "who=", "whose=", 1))
	s.until(t, "new configuration")
	if err := s.cmd.Process.Signal(unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.until(t, "new configuration")
	out, err = get("ipxe/mac=52:54:00:00:00:00,uuid=,arch=x64")
	must(out, err, "whose=n0")

	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.cmd.Wait()
	out, err = status()
	must(out, err, "no server runs", "running", "10.9.1.7", "/app")
	l.startServe(program, "--config", config, "--state", state)
	out, err = status()
	must(out, err, "running", "10.9.1.7")
}
