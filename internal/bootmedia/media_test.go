package bootmedia

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hostRoot is where Debian's boot loaders are; make deps installs them.
var hostRoot = os.DirFS("/")

// when is the time of everything in the tests.
var when = time.Date(2023, 11, 14, 22, 13, 20, 0, time.UTC)

// write writes what a function writes to a file of the test.
func write(t *testing.T, content []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// host runs a program of the host.
func host(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		name = "/usr/sbin/" + name
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v (make deps installs what the tests need)\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// noise is data that has nothing in common with its neighbours.
func noise(seed byte, size int) []byte {
	b := make([]byte, size)
	x := uint32(seed) + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func hasLines(t *testing.T, text string, want ...string) {
	t.Helper()
	// Tools line up their columns in different ways.
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == ' ' }), " ")
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%q is not in:\n%s", w, text)
		}
	}
}

func render(t *testing.T, write func(*bytes.Buffer) (int64, error)) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := write(&b)
	if err != nil {
		t.Fatal(err)
	}
	if n != int64(b.Len()) {
		t.Errorf("%d bytes written, %d said", b.Len(), n)
	}
	return b.Bytes()
}
