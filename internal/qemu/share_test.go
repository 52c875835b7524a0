//go:build linux

package qemu

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWritable(t *testing.T) {
	for _, tc := range []struct {
		name string
		m    Machine
		want bool
	}{
		{"nothing", Machine{}, false},
		{"read-only share", Machine{Shares: []Share{{Kind: Share9P, ReadOnly: true}}}, false},
		{"share", Machine{Shares: []Share{{Kind: Share9P, ReadOnly: true}, {Kind: ShareVirtiofs}}}, true},
		{"disk", Machine{Disks: []Disk{{}}}, true},
	} {
		if got := tc.m.Writable(); got != tc.want {
			t.Errorf("%s: Writable() = %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestVirtiofsdArguments(t *testing.T) {
	for _, tc := range []struct {
		v    virtiofsd
		dir  string
		want string
	}{
		{virtiofsd{path: "/v"}, "/src", "/v --fd=3 -o source=/src -o sandbox=chroot -o cache=auto -o log_level=err"},
		{virtiofsd{path: "/v"}, `/a,b\c`, `/v --fd=3 -o source=/a\,b\\c -o sandbox=chroot -o cache=auto -o log_level=err`},
		{virtiofsd{path: "/v", successor: true}, `/a,b`, `/v --fd=3 --shared-dir=/a,b --sandbox=chroot --cache=auto --log-level=error`},
	} {
		if diff := cmp.Diff(tc.want, strings.Join(tc.v.argv(tc.dir), " ")); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", tc, diff)
		}
	}
}

// TestPendingConnection: what is written before anybody accepts arrives, and
// the queue has no room for others.
func TestPendingConnection(t *testing.T) {
	listener, conn, err := pendingConnection()
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	io.WriteString(conn, "early")
	l, err := net.FileListener(listener)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if c, err := net.DialUnix("unix", nil, l.Addr().(*net.UnixAddr)); err == nil {
		t.Errorf("a second connection %v is taken, too", c.LocalAddr())
	}
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	conn.Close()
	if got, err := io.ReadAll(peer); string(got) != "early" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestFindVirtiofsd takes the one in PATH first, and tells the two apart by
// what they say.
func TestFindVirtiofsd(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for _, tc := range []struct {
		script    string
		successor bool
	}{
		{"echo '      --shared-dir <SHARED_DIR>'", true},
		{"echo '    -o source=PATH'", false},
		{"echo setgroups: not permitted >&2; exit 1", false},
	} {
		if err := os.WriteFile(dir+"/virtiofsd", []byte("#!/bin/sh\n"+tc.script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		got, err := findVirtiofsd()
		if want := (virtiofsd{dir + "/virtiofsd", tc.successor}); got != want || err != nil {
			t.Errorf("%s: %+v, %v, want %+v", tc.script, got, err, want)
		}
	}
}

// TestServerEndsQEMU: a guest whose files have gone would wait for ever.
func TestServerEndsQEMU(t *testing.T) {
	fakeQEMU(t, "exec sleep 1000")
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/virtiofsd", []byte("#!/bin/sh\n[ \"$1\" = --help ] && exit; echo no such thing >&2; exit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	m := testMachine
	m.Shares = []Share{{Kind: ShareVirtiofs, Dir: dir, Tag: "t"}}
	exit := start(t, m, Options{}).Wait()
	if err := exit.Err(); err == nil || !strings.Contains(err.Error(), "virtiofsd ended with status 3: no such thing") {
		t.Errorf("exit %+v: %v", exit, err)
	}
}

// TestExecShareRefused: what ExecShare does is proven by shares in machines.
func TestExecShareRefused(t *testing.T) {
	for _, args := range [][]string{nil, {"read-only"}, {"nonsense", "/bin/true"}} {
		if err := ExecShare(args); err == nil {
			t.Errorf("ExecShare(%q) has no error", args)
		}
	}
}
