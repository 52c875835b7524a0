//go:build linux

package netboot_test

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rambox/internal/vmtest"
)

// startServe starts rambox serve in the server's namespace and waits until it says
// that it is ready.
func (l *lab) startServe(program string, args ...string) *talker {
	l.t.Helper()
	return startServe(l.t, l.server, program, args...)
}

func startServe(t testing.TB, n *vmtest.Namespace, program string, args ...string) *talker {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	s := talk(t, bootLimit, []string{"NOTIFY_SOCKET=" + path}, n.Words(append([]string{program, "serve"}, args...)...)...)
	notify.SetReadDeadline(time.Now().Add(patience))
	if _, err := notify.Read(make([]byte, 64)); err != nil {
		s.kill()
		s.until("a line that tells that it is ready")
	}
	return s
}

// serveStatus is what rambox serve status lists.
func serveStatus(t testing.TB, program, state string) string {
	t.Helper()
	return vmtest.Command(t, program, "serve", "status", "--state", state)
}

// wantStatus looks for a line in it.
func wantStatus(t testing.TB, program, state, line string) {
	t.Helper()
	if got := serveStatus(t, program, state); !regexp.MustCompile("(?m)" + line).MatchString(got) {
		t.Errorf("rambox serve status has no line %s:\n%s", line, got)
	}
}

// TestServe follows a machine from its first packet to its report, through a
// change of the configuration, and beyond the server's violent end.
func TestServe(t *testing.T) {
	program, l, dir := vmtest.Rambox(t), newLab(t, 1), t.TempDir()
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
	out, err := l.udhcpc("c0")
	must(out, err, "bound 10.9.1.7/16")
	must(serveStatus(t, program, state), nil, "leased", "n0", "10.9.1.7", "52:54:00:00:00:00")
	l.clients.IP("addr", "add", "10.9.1.7/16", "dev", "c0")

	get := func(url string, more ...string) (string, error) {
		return l.run("busybox", append([]string{"wget", "-q", "-O", "-", "http://10.9.0.1:8080/" + url}, more...)...)
	}
	out, err = get("ipxe/mac=52:54:00:00:00:00,uuid=,arch=x64")
	must(out, err, "rambox.report=http://10.9.0.1:8080/report/52:54:00:00:00:00", "who=n0 at=10.9.1.7", "/kernel", "/image")
	s.until("ipxe/mac")
	out, err = get("report", "--post-data", `{"state":"running","detail":"/app","hostname":"n0","boot":{"version":1,"release":"6.1","init":0.5,"now":0.6,"stages":[],"waits":[],"modules":[]}}`)
	must(out, err, "")
	must(serveStatus(t, program, state), nil, "running", "0.600s (kernel 0.500)", "/app")
	if out, err := get("status"); err == nil {
		t.Errorf("a machine reads the status of all:\n%s", out)
	}

	write("serve.toml", text+"apend = \"\"\n")
	s.until("the old configuration stays: " + config + ":11: apend: is no key of node")
	write("serve.toml", strings.Replace(text, "who=", "whose=", 1))
	s.until("new configuration")
	if err := s.cmd.Process.Signal(unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.until("new configuration")
	out, err = get("ipxe/mac=52:54:00:00:00:00,uuid=,arch=x64")
	must(out, err, "whose=n0")

	s.kill()
	must(serveStatus(t, program, state), nil, "no server runs", "running", "10.9.1.7", "/app")
	l.startServe(program, "--config", config, "--state", state)
	must(serveStatus(t, program, state), nil, "running", "10.9.1.7")
}
