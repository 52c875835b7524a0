//go:build linux

package netboot_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"rambox/internal/netboot"
	"rambox/internal/vmtest"
)

// followed is what a server that is not root reads: a directory that others may
// enter, which those of TempDir are not.
type followed struct {
	t              *testing.T
	config, kernel string // files
}

const followConfig = "listen = \"s0\"\nkernel = \"sub/kernel\"\nhttp-port = 8080\nauthoritative = true\n" +
	"[[subnet]]\nnetwork = \"10.9.0.0/16\"\npool = \"10.9.1.0-10.9.1.9\"\n"

func newFollowed(t *testing.T) *followed {
	t.Helper()
	dir, err := os.MkdirTemp("", "follow")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := &followed{t, filepath.Join(dir, "serve.toml"), filepath.Join(dir, "sub", "kernel")}
	if err := os.Mkdir(filepath.Dir(f.kernel), 0o755); err != nil {
		t.Fatal(err)
	}
	f.chmod(dir, 0o755)
	f.write(f.kernel, "the kernel")
	f.write(f.config, followConfig)
	return f
}

func (f *followed) write(file, content string) {
	f.t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *followed) chmod(file string, mode os.FileMode) {
	f.t.Helper()
	if err := os.Chmod(file, mode); err != nil {
		f.t.Fatal(err)
	}
}

// TestServeFollows has a server that is no longer root follow the addresses of its
// machine, and say what it cannot follow.
func TestServeFollows(t *testing.T) {
	program, l, f := vmtest.Rambox(t), newLab(t, 1), newFollowed(t)
	s := l.startServe(program, "--config", f.config, "--state", filepath.Join(t.TempDir(), "state"), "--user", "nobody")
	s.until("serving addr=10.9.0.1 ")
	capabilities(t, s.cmd.Process.Pid)

	// Not of the same network as the other one, which would take it along.
	l.server.IP("addr", "add", "10.9.0.9/24", "dev", "s0")
	s.until("serving addr=10.9.0.9 ")
	l.server.IP("addr", "del", "10.9.0.1/16", "dev", "s0")
	s.until("no longer serving")
	if out, err := l.run("busybox", "udhcpc", "-i", "c0", "-s", "/bin/true", "-f", "-n", "-q", "-t", "20", "-T", "1"); err != nil || !strings.Contains(out, "obtained from 10.9.0.9") {
		t.Errorf("udhcpc: %v\n%s\nwant a lease from the new address", err, out)
	}
	l.clients.IP("addr", "add", "10.9.0.2/16", "dev", "c0")
	name := netboot.FileName(f.kernel)
	for _, get := range [][]string{{"tftp", "-g", "-l", "-", "-r", name, "10.9.0.9"}, {"wget", "-q", "-O", "-", "http://10.9.0.9:8080/" + name}} {
		if out, err := l.run("busybox", get...); err != nil || !strings.Contains(out, "the kernel") {
			t.Errorf("%s: %v: %q", strings.Join(get, " "), err, out)
		}
	}

	refused := func(want string) {
		t.Helper()
		if err := s.cmd.Process.Signal(unix.SIGHUP); err != nil {
			t.Fatal(err)
		}
		s.until("the old configuration stays: " + f.config + want)
	}
	f.write(f.config, strings.Replace(followConfig, "8080", "8081", 1))
	refused(":3: http-port: only a restart changes that")
	f.write(f.config, followConfig)
	s.until("new configuration")
	f.chmod(f.kernel, 0o600)
	refused(":2: kernel: " + f.kernel + ": user nobody may not read it: chmod o+r it")
	f.chmod(f.kernel, 0o644)
	f.chmod(filepath.Dir(f.kernel), 0o700)
	refused(":2: kernel: " + f.kernel + ": user nobody may not enter " + filepath.Dir(f.kernel) + ": chmod o+x that")
	f.chmod(filepath.Dir(f.kernel), 0o755)
	l.server.IP("addr", "flush", "dev", "s0")
	refused(":1: listen: interface s0: has no IPv4 address")
}

// capabilities looks at those that each thread of a process has: one alone.
func capabilities(t *testing.T, pid int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		t.Fatalf("no threads of %d: %v", pid, err)
	}
	want := fmt.Sprintf("%016x", 1<<unix.CAP_NET_BIND_SERVICE)
	for _, file := range files {
		status, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has ended
		}
		for _, key := range []string{"CapPrm", "CapEff"} {
			if !strings.Contains(string(status), key+":\t"+want+"\n") {
				t.Errorf("%s: want %s %s\n%s", file, key, want, status)
			}
		}
		if !strings.Contains(string(status), "Uid:\t65534\t65534\t65534\t65534\n") {
			t.Errorf("%s: want user 65534\n%s", file, status)
		}
	}
}

// TestRouterSolicitation has iPXE look for a router where there is none, and
// another program after it: only iPXE is told, and only when no router can be
// about to.
func TestRouterSolicitation(t *testing.T) {
	l := newLab(t, 1)
	l.serve(netboot.DHCPConfig{Proxy: true, Boot: netboot.BootConfig{
		Programs: map[netboot.Arch]string{netboot.ArchEFI64: "ipxe.efi"}, Script: "http://${server}/boot.ipxe",
	}}, filepath.Join(t.TempDir(), "leases.db"))
	var card *os.File
	err := l.clients.Inside(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		card = os.NewFile(uintptr(fd), "c0")
		i, err := net.InterfaceByName("c0")
		if err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: i.Index, Protocol: binary.NativeEndian.Uint16([]byte{0x86, 0xdd})})
	})
	if err != nil {
		t.Fatal(err)
	}
	defer card.Close()
	const machine, own = "\x52\x54\x00\x00\x00\x00", "\xfe\x80\x00\x00\x00\x00\x00\x00\x50\x54\x00\xff\xfe\x00\x00\x00"
	solicit := []byte("\x33\x33\x00\x00\x00\x02" + machine + "\x86\xdd" + "\x60\x00\x00\x00\x00\x08\x3a\xff" + own +
		"\xff\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02" + "\x85\x00\x00\x00\x00\x00\x00\x00")
	told := func(wait time.Duration) bool {
		if _, err := card.Write(solicit); err != nil {
			t.Fatal(err)
		}
		card.SetReadDeadline(time.Now().Add(wait))
		for buf := make([]byte, 2048); ; {
			n, err := card.Read(buf)
			if err != nil {
				return false
			}
			if n == 14+40+16 && string(buf[:6]) == machine && string(buf[14+24:14+40]) == own && buf[14+40] == 134 && buf[14+46] == 0 && buf[14+47] == 0 {
				return true
			}
		}
	}
	f := l.firmware(t)
	f.ask(false, "255.255.255.255:67", dhcpv4.MessageTypeDiscover, dhcpv4.WithUserClass("iPXE", false))
	for range 2 {
		if told(300 * time.Millisecond) {
			t.Error("the server answers where a router might")
		}
	}
	if !told(patience) {
		t.Fatal("iPXE is not told that there is no router")
	}
	f.ask(false, "255.255.255.255:67", dhcpv4.MessageTypeDiscover)
	for range 4 {
		if told(100 * time.Millisecond) {
			t.Error("the server tells another program")
		}
	}
}
