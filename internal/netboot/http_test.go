package netboot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// testShelf serves a directory with a file and things that are none.
func testShelf(t testing.TB) (shelf *Shelf, dir string) {
	t.Helper()
	base := t.TempDir()
	dir = filepath.Join(base, "tree")
	for name, text := range map[string]string{"secret": "secret", "tree/file": "0123456789", "tree/sub/file": "sub", "elsewhere/kernel": "kernel"} {
		file := filepath.Join(base, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"out": "../secret", "absolute": "/etc/hostname", "up": "..", "in": "sub/file"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	shelf = &Shelf{
		Root: root,
		Generate: func(name string, from netip.Addr) ([]byte, bool, error) {
			switch name {
			case "made":
				return []byte("for " + from.String()), true, nil
			case "refused":
				return nil, false, fmt.Errorf("no: %w", fs.ErrPermission)
			}
			return nil, false, nil
		},
	}
	shelf.Files = map[string]string{"kernel": filepath.Join(base, "elsewhere/kernel"), "dir": base}
	return shelf, dir
}

func TestShelf(t *testing.T) {
	shelf, _ := testShelf(t)
	for _, tc := range []struct{ name, want, fault string }{
		{"file", "0123456789", ""},
		{"/sub//file", "sub", ""},
		{`\SUB\..\file`, "0123456789", ""},
		{"in", "sub", ""},
		{"kernel", "kernel", ""},
		{"made", "for 10.0.0.7", ""},
		{"../secret", "", "openat secret: no such file or directory"},
		{"out", "", "openat out: path escapes from parent"},
		{"absolute", "", "openat absolute: path escapes from parent"},
		{"up/secret", "", "openat up/secret: path escapes from parent"},
		{"sub", "", "sub: is no regular file: permission denied"},
		{"fifo", "", "fifo: is no regular file: permission denied"},
		{"dir", "", "dir: is no regular file: permission denied"},
		{"refused", "", "no: permission denied"},
		{"", "", "request without a file name: file does not exist"},
		{"none", "", "openat none: no such file or directory"},
	} {
		c, err := shelf.Open(tc.name, netip.MustParseAddr("10.0.0.7"))
		got := ""
		if err == nil {
			b, err := io.ReadAll(io.NewSectionReader(c, 0, c.Size))
			if err != nil {
				t.Error(err)
			}
			got = string(b)
			c.Close()
		}
		if got != tc.want || errorText(err) != tc.fault {
			t.Errorf("Open(%q): %q, %q, want %q, %q", tc.name, got, errorText(err), tc.want, tc.fault)
		}
	}
}

func TestHTTP(t *testing.T) {
	shelf, _ := testShelf(t)
	h := &FileHandler{Open: shelf.Open, Digests: &Digests{}}
	sum := sha256.Sum256([]byte("0123456789"))
	etag := fmt.Sprintf(`"sha256:%x"`, sum)
	for _, tc := range []struct {
		name, method, path string
		header             map[string]string
		status             int
		body               string
		want               map[string]string
	}{
		{"a file", "GET", "/file", nil, 200, "0123456789", map[string]string{
			"ETag": etag, "Repr-Digest": "sha-256=:" + base64.StdEncoding.EncodeToString(sum[:]) + ":", "Content-Length": "10", "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream",
		}},
		{"its head", "HEAD", "/file", nil, 200, "", map[string]string{"ETag": etag, "Content-Length": "10"}},
		{"a range", "GET", "/file", map[string]string{"Range": "bytes=2-4"}, 206, "234", map[string]string{"Content-Range": "bytes 2-4/10", "ETag": etag}},
		{"the end", "GET", "/file", map[string]string{"Range": "bytes=-3"}, 206, "789", map[string]string{"Content-Range": "bytes 7-9/10"}},
		{"a range of this version", "GET", "/file", map[string]string{"Range": "bytes=8-", "If-Range": etag}, 206, "89", nil},
		{"a range of another version", "GET", "/file", map[string]string{"Range": "bytes=8-", "If-Range": `"other"`}, 200, "0123456789", nil},
		{"a range that there is not", "GET", "/file", map[string]string{"Range": "bytes=10-"}, 416, "invalid range: failed to overlap\n", map[string]string{"Content-Range": "bytes */10"}},
		{"not changed", "GET", "/file", map[string]string{"If-None-Match": etag}, 304, "", map[string]string{"ETag": etag}},
		{"changed", "GET", "/file", map[string]string{"If-None-Match": `"other"`}, 200, "0123456789", nil},
		{"must be another version", "GET", "/file", map[string]string{"If-Match": `"other"`}, 412, "", nil},
		{"a text", "GET", "/made", nil, 200, "for 192.0.2.1", map[string]string{"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}},
		{"nothing", "GET", "/none", nil, 404, "Not Found\n", nil},
		{"out of the tree", "GET", "/../secret", nil, 404, "Not Found\n", nil},
		{"out of it by escapes", "GET", "/%2e%2e%2fsecret", nil, 404, "Not Found\n", nil},
		{"out of it by a link", "GET", "/out", nil, 500, "Internal Server Error\n", nil},
		{"a directory", "GET", "/sub", nil, 403, "Forbidden\n", nil},
		{"refused", "GET", "/refused", nil, 403, "Forbidden\n", nil},
		{"a post", "POST", "/file", nil, 405, "this server is read-only\n", map[string]string{"Allow": "GET, HEAD"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := httptest.NewRequest(tc.method, tc.path, nil)
			for k, v := range tc.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tc.status || w.Body.String() != tc.body {
				t.Errorf("%d %q, want %d %q", w.Code, w.Body, tc.status, tc.body)
			}
			for k, v := range tc.want {
				if got := w.Header().Get(k); got != v {
					t.Errorf("%s: %q, want %q", k, got, v)
				}
			}
		})
	}
}

// TestDigests: a file is read once for each of its versions, however many ask.
func TestDigests(t *testing.T) {
	shelf, dir := testShelf(t)
	d := &Digests{}
	of := func() string {
		t.Helper()
		c, err := shelf.Open("file", netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		digest, err := d.Of(context.Background(), c)
		if err != nil {
			t.Fatal(err)
		}
		return digest.String()
	}
	want := func(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }
	// The same size at once, so that nothing but the dates tells the versions
	// apart.
	for i := range 50 {
		text := fmt.Sprintf("%010d", i)
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := of(); got != want(text) {
			t.Fatalf("version %d: %s, want %s", i, got, want(text))
		}
	}
	done := make(chan string)
	for range 20 {
		go func() { done <- of() }()
	}
	for range 20 {
		if got := <-done; got != want("0000000049") {
			t.Errorf("%s, want %s", got, want("0000000049"))
		}
	}
	if len(d.known) > 50 {
		t.Errorf("%d digests are kept, want at most 50", len(d.known))
	}
}

func TestDigestGivenUp(t *testing.T) {
	shelf, _ := testShelf(t)
	d := &Digests{active: make(chan struct{}, 1)}
	d.active <- struct{}{} // somebody else's file is being read
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c, err := shelf.Open("file", netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := d.Of(ctx, c); err != context.Canceled {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
	<-d.active
	for _, job := range d.known {
		<-job.done
		if job.err != nil {
			t.Error(job.err)
		}
	}
}

// FuzzHTTPPath: no path leads out of the tree.
func FuzzHTTPPath(f *testing.F) {
	for _, s := range []string{"/file", "/../secret", "/up/secret", "/%2e%2e/secret", `/..\secret`, "/c:/file", "/sub/../../secret", "//secret", "/in\xff", "/out"} {
		f.Add(s)
	}
	shelf, _ := testShelf(f)
	h := &FileHandler{Open: shelf.Open, Digests: &Digests{}}
	f.Fuzz(func(t *testing.T, path string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path = path
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == http.StatusOK && bytes.Contains(w.Body.Bytes(), []byte("secret")) {
			t.Fatalf("%q leads to %q", path, w.Body)
		}
	})
}

func TestFileName(t *testing.T) {
	if got, want := FileName("/boot/vmlinuz-6.1.0-56-amd64"), "rambox/a1f0ac83ce4e/vmlinuz-6.1.0-56-amd64"; !strings.HasSuffix(got, "/vmlinuz-6.1.0-56-amd64") || len(got) != len(want) {
		t.Errorf("%q, want one like %q", got, want)
	}
	if a, b := FileName("/a/k"), FileName("/b/k"); a == b {
		t.Errorf("two files are %q", a)
	}
	if got := FileName("/a/mit Leerzeichen, ä"); !strings.HasSuffix(got, "/mit_Leerzeichen___") {
		t.Errorf("%q", got)
	}
}
