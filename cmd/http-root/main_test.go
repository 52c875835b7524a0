//go:build linux

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asProgram makes this test's binary the program itself.
const asProgram = "HTTP_ROOT_AS_PROGRAM"

// patient bounds what a test waits for when all is well.
const patient = 60 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// journal is a logger's text.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// mentions fails the test unless text has each of the words.
func mentions(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("no %q in:\n%s", w, text)
		}
	}
}

// newTestImage returns an image with the content.
func newTestImage(t testing.TB, content []byte) *image {
	t.Helper()
	img, err := newImage()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { img.file.Close() })
	if _, err := img.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := img.out.finish(); err != nil {
		t.Fatal(err)
	}
	return img
}

// needRoot skips a test of what root alone may do.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may mount, and make files of others")
	}
}

// privateMounts gives the calling goroutine mounts of its own, for the rest of
// the test: its thread ends with it.
func privateMounts(t *testing.T) {
	t.Helper()
	needRoot(t)
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		t.Fatalf("unshare: %v", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatalf("make all mounts private: %v", err)
	}
}

// tool runs a program of the host and returns what it has written.
func tool(t *testing.T, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", cmd, err, out, stderr.Bytes())
	}
	return out
}
