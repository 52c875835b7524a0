//go:build linux

package netboot_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// freePort is a TCP port that nobody has on 127.0.0.1.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// TestHTTPCurl has curl fetch files whole, in parts, and again.
func TestHTTPCurl(t *testing.T) {
	needs(t, "curl", "curl")
	dir := t.TempDir()
	image := noise(t, dir, "image", 5<<20)
	l := newLab(t, 1)
	l.clients.IP("addr", "add", "10.9.0.50/16", "dev", "c0")
	serveFiles(t, l.server.Words(), dir, "10.9.0.1", "80", "-", "s0")
	digest := fmt.Sprintf("%x", sha256.Sum256(image))
	for _, tc := range []struct{ name, script, want string }{
		{"whole", `curl -sS http://10.9.0.1/image | sha256sum`, digest + "  -\n"},
		{"a range", `curl -sS -r 1000-1009 http://10.9.0.1/image | od -An -tx1 | tr -d ' \n'`, fmt.Sprintf("%x", image[1000:1010])},
		{"goes on", `head -c 2000000 $DIR/image >part && curl -sS -C - -o part http://10.9.0.1/image && sha256sum part`, digest + "  part\n"},
		{"a second time", `curl -sS --etag-save tag -o got http://10.9.0.1/image && curl -sS --etag-compare tag -o again -w '%{http_code} %{size_download}' http://10.9.0.1/image`, "304 0"},
		{"its head", `curl -sSI http://10.9.0.1/image | grep -i '^ETag' | tr -d '\r'`, "Etag: \"sha256:" + digest + "\"\n"},
		{"in parallel parts", `curl -sS -Z -r 0-2621439 -o a http://10.9.0.1/image --next -r 2621440- -o b http://10.9.0.1/image 2>/dev/null; cat a b | sha256sum`, digest + "  -\n"},
		{"out of the tree", `curl -sS --path-as-is -o /dev/null -w '%{http_code}' http://10.9.0.1/../../etc/passwd`, "404"},
		{"a post", `curl -sS -o /dev/null -w '%{http_code}' -d x http://10.9.0.1/image`, "405"},
		{"busybox", `busybox wget -q -O - http://10.9.0.1/image | sha256sum`, digest + "  -\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			said, err := l.run("sh", "-c", "cd "+t.TempDir()+"; DIR="+dir+"; "+tc.script)
			if err != nil || said != tc.want {
				t.Errorf("%s: %v, %q, want %q", tc.script, err, said, tc.want)
			}
		})
	}
}

// TestHTTPThousand: a thousand machines, each with its own address, fetch an image
// at the same time; none fails, and the server stays small.
func TestHTTPThousand(t *testing.T) {
	const machines, size, limit = 1000, 16 << 20, 100 << 20
	dir := t.TempDir()
	want := noise(t, dir, "image", size)
	port := freePort(t)
	server := serveFiles(t, nil, dir, "127.0.0.1", port, "-", "")
	var connected, done sync.WaitGroup
	connected.Add(machines)
	failures := make(chan error, machines)
	for i := range machines {
		done.Go(func() {
			failures <- fetchTogether(fmt.Sprintf("127.1.%d.%d", i/250, i%250+1), "127.0.0.1:"+port, want, &connected)
		})
	}
	done.Wait()
	close(failures)
	failed := 0
	for err := range failures {
		if err != nil {
			if failed++; failed < 5 {
				t.Error(err)
			}
		}
	}
	peak := peakMemory(t, server.pid)
	t.Logf("%d of %d failed; the server's memory was at most %d KiB", failed, machines, peak>>10)
	if failed > 0 || peak > limit {
		t.Errorf("%d failed, peak %d KiB, want 0 and at most %d KiB", failed, peak>>10, limit>>10)
	}
}

// fetchTogether fetches /image by an address of its own. It reads nothing before
// all others have asked, so that the server has all of them at once.
func fetchTogether(own, server string, want []byte, connected *sync.WaitGroup) error {
	asked := sync.OnceFunc(connected.Done)
	defer asked()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(own)}, Timeout: patience}
	c, err := dialer.Dial("tcp4", server)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * patience)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "GET /image HTTP/1.1\r\nHost: server\r\nConnection: close\r\n\r\n"); err != nil {
		return err
	}
	asked()
	connected.Wait()
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return fmt.Errorf("%s: %w", own, err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK || r.ContentLength != int64(len(want)) {
		return fmt.Errorf("%s: %s, %d bytes", own, r.Status, r.ContentLength)
	}
	b := make([]byte, 32<<10)
	for at := 0; ; {
		n, err := r.Body.Read(b)
		if !bytes.Equal(b[:n], want[at:at+n]) {
			return fmt.Errorf("%s: other bytes at %d", own, at)
		}
		at += n
		switch {
		case errors.Is(err, io.EOF) && at == len(want):
			return nil
		case err != nil:
			return fmt.Errorf("%s: after %d bytes: %w", own, at, err)
		}
	}
}

// peakMemory is the most that a process has had resident, in bytes (proc(5)).
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatalf("no VmHWM in\n%s", status)
	return 0
}

// TestHTTPPerClient: one address gets no more than its share of connections, and
// others are not kept waiting.
func TestHTTPPerClient(t *testing.T) {
	dir := t.TempDir()
	noise(t, dir, "image", 100)
	port := freePort(t)
	serveFiles(t, nil, dir, "127.0.0.1", port, "-", "")
	dial := func(own string) (net.Conn, error) {
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(own)}}).Dial("tcp4", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
		_, err = io.WriteString(c, "HEAD /image HTTP/1.1\r\nHost: server\r\n\r\n")
		return c, err
	}
	answered := func(c net.Conn, err error) bool {
		if err != nil {
			return false
		}
		line, _ := bufio.NewReader(c).ReadString('\n')
		return line == "HTTP/1.1 200 OK\r\n"
	}
	const share = 64
	for i := range share {
		if !answered(dial("127.1.0.1")) {
			t.Fatalf("connection %d was not answered", i)
		}
	}
	if answered(dial("127.1.0.1")) {
		t.Errorf("connection %d was answered", share)
	}
	if !answered(dial("127.1.0.2")) {
		t.Error("another client was not answered")
	}
}
