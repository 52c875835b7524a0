//go:build linux

package netboot_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// serverProcess is a program of testdata that serves.
type serverProcess struct {
	pid  int
	stop func() error // in good order
}

// serveFiles starts a process that serves a directory. via is what runs it: nil, or
// "ip netns exec NAME".
func serveFiles(t *testing.T, via []string, args ...string) *serverProcess {
	t.Helper()
	return startServer(t, via, "fileserver", args...)
}

// startServer builds and starts a program of testdata, and returns when it is
// ready.
func startServer(t *testing.T, via []string, name string, args ...string) *serverProcess {
	t.Helper()
	program := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", program, "./testdata/"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	argv := append(append(via[:len(via):len(via)], program), args...)
	cmd := exec.Command(argv[0], argv[1:]...)
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &serverProcess{pid: cmd.Process.Pid}
	s.stop = sync.OnceValue(func() error {
		cmd.Process.Signal(unix.SIGTERM)
		return cmd.Wait()
	})
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("%s: %v", strings.Join(argv, " "), err)
		}
		if t.Failed() {
			t.Logf("%s\n%s", strings.Join(argv, " "), log.String())
		}
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("%s says %q: %v", strings.Join(argv, " "), line, err)
	}
	return s
}

// needs fails the test without a program.
func needs(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("%v (Debian: %s)", err, pkg)
	}
}

// noise writes a file of n bytes, which are the same at each run.
func noise(t *testing.T, dir, name string, n int) []byte {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	b := make([]byte, n)
	rand.NewChaCha8(seed).Read(b)
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
		t.Fatal(err)
	}
	return b
}

// tftpLab has a server on 10.9.0.1, and a client on 10.9.0.50.
func tftpLab(t *testing.T, dir string) *lab {
	t.Helper()
	l := newLab(t, 1)
	l.clients.IP("addr", "add", "10.9.0.50/16", "dev", "c0")
	serveFiles(t, l.server.Words(), dir, "0.0.0.0", "-", "69", "s0")
	return l
}

// tftpClients are shell commands that fetch the file $1 to the file got.
var tftpClients = []struct{ name, script string }{
	{"tftp-hpa", `tftp -m binary 10.9.0.1 -c get "$1" got`},
	{"tftp-hpa text", `tftp -m ascii 10.9.0.1 -c get "$1" got`},
	{"curl", `curl -sS -o got "tftp://10.9.0.1/$1" && touch got`},
	{"curl without options", `curl -sS --tftp-no-options -o got "tftp://10.9.0.1/$1" && touch got`},
	{"curl blksize", `curl -sS --tftp-blksize 1428 -o got "tftp://10.9.0.1/$1" && touch got`},
	{"curl more than the link takes", `curl -sS --tftp-blksize 60000 -o got "tftp://10.9.0.1/$1" && touch got`},
	{"busybox", `busybox tftp -g -l got -r "$1" 10.9.0.1`},
	{"busybox blksize", `busybox tftp -g -b 8192 -l got -r "$1" 10.9.0.1`},
	{"atftp", `atftp --get -r "$1" -l got 10.9.0.1`},
	{"atftp all options", `atftp --get --option "blksize 1400" --option "tsize 0" --option "timeout 3" --option "windowsize 16" -r "$1" -l got 10.9.0.1`},
}

func needsTFTP(t *testing.T) {
	t.Helper()
	needs(t, "tftp", "tftp-hpa")
	needs(t, "atftp", "atftp")
	needs(t, "curl", "curl")
}

// TestTFTPClients: each client gets files of every awkward size.
func TestTFTPClients(t *testing.T) {
	needsTFTP(t)
	dir := t.TempDir()
	files := map[string][]byte{}
	for _, n := range []int{0, 1, 511, 512, 513, 1024, 1428, 100_000, 1_000_000} {
		name := fmt.Sprintf("%d", n)
		files[name] = noise(t, dir, name, n)
	}
	l := tftpLab(t, dir)
	for _, client := range tftpClients {
		t.Run(client.name, func(t *testing.T) {
			for name, want := range files {
				out := t.TempDir()
				said, err := l.run("sh", "-c", "cd "+out+" && "+client.script, "sh", name)
				got, _ := os.ReadFile(filepath.Join(out, "got"))
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("file of %d bytes: %v, got %d bytes: %s\nto reproduce: %s", len(want), err, len(got), said, client.script)
				}
			}
		})
	}
}

// TestTFTPLarge: the block number wraps around, in blocks of 512 bytes at 32 MiB.
func TestTFTPLarge(t *testing.T) {
	needsTFTP(t)
	dir := t.TempDir()
	want := noise(t, dir, "large", 34<<20)
	l := tftpLab(t, dir)
	for _, client := range tftpClients {
		if client.name == "tftp-hpa" || client.name == "curl without options" || client.name == "atftp all options" {
			t.Run(client.name, func(t *testing.T) {
				out := t.TempDir()
				said, err := l.run("sh", "-c", "cd "+out+" && "+client.script, "sh", "large")
				got, _ := os.ReadFile(filepath.Join(out, "got"))
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%v, got %d bytes, want %d: %s\nto reproduce: %s", err, len(got), len(want), said, client.script)
				}
			})
		}
	}
}

// TestTFTPRefusals: what clients say when they do not get a file.
func TestTFTPRefusals(t *testing.T) {
	needsTFTP(t)
	base := t.TempDir()
	dir := filepath.Join(base, "tree")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	noise(t, base, "secret", 10)
	if err := os.Symlink("../secret", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	l := tftpLab(t, dir)
	for _, tc := range []struct{ name, script, want string }{
		{"no such file", `tftp -m binary 10.9.0.1 -c get none got`, "Error code 1: no such file"},
		{"out of the tree", `tftp -m binary 10.9.0.1 -c get ../secret got`, "Error code 1: no such file"},
		{"out of it by a link", `tftp -m binary 10.9.0.1 -c get link got`, "Error code 0: cannot open the file"},
		{"the tree itself", `tftp -m binary 10.9.0.1 -c get / got`, "Error code 1: no such file"},
		{"a write", `echo x >up; tftp -m binary 10.9.0.1 -c put up`, "Error code 2: this server is read-only"},
		{"busybox", `busybox tftp -g -l got -r none 10.9.0.1`, "tftp: server error: (1) no such file"},
		{"curl", `curl -s -o got tftp://10.9.0.1/none; echo status $?`, "status 68"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			said, _ := l.run("sh", "-c", "cd "+t.TempDir()+" && "+tc.script)
			if !strings.Contains(said, tc.want) {
				t.Errorf("%s: %q, want %q", tc.script, said, tc.want)
			}
		})
	}
}

// TestTFTPMany: a room full of machines asks at once, each by its own address.
func TestTFTPMany(t *testing.T) {
	needsTFTP(t)
	dir := t.TempDir()
	want := noise(t, dir, "program", 1_000_000)
	l := tftpLab(t, dir)
	const machines = 100
	for i := range machines {
		l.clients.IP("addr", "add", fmt.Sprintf("10.9.2.%d/16", i+1), "dev", "c0")
	}
	out := t.TempDir()
	said, err := l.run("sh", "-c", fmt.Sprintf(`cd %s; for i in $(seq %d); do curl -sS --tftp-blksize 1428 --interface 10.9.2.$i -o $i tftp://10.9.0.1/program & done; wait`, out, machines))
	if err != nil || said != "" {
		t.Errorf("%v: %s", err, said)
	}
	for i := range machines {
		if got, _ := os.ReadFile(filepath.Join(out, fmt.Sprint(i+1))); !bytes.Equal(got, want) {
			t.Errorf("machine %d got %d bytes, want %d", i+1, len(got), len(want))
		}
	}
}
