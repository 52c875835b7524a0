//go:build linux

package qemu

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// noise is n bytes that repeat nowhere.
func noise(n int, seed byte) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// TestSessionStreams sends 10 MiB each way at once.
func TestSessionStreams(t *testing.T) {
	const size = 10 << 20
	in, out, err := noise(size, 1), noise(size, 2), noise(size, 3)
	var stdout, stderr bytes.Buffer
	g := startFake(t.Context(), t, Session{Stdin: bytes.NewReader(in), Stdout: &stdout, Stderr: &stderr})
	g.up()
	var work sync.WaitGroup
	var read []byte
	work.Go(func() { read, _ = io.ReadAll(g.stdin) })
	work.Go(func() { g.stdout.Write(out) })
	work.Go(func() { g.stderr.Write(err) })
	work.Wait()
	g.send(g.control, "exit 0 %d %d\n", size, size)
	if res, err := g.result(); res.Status != 0 || err != nil {
		t.Errorf("result %+v, %v", res, err)
	}
	for name, pair := range map[string][2][]byte{"stdin": {in, read}, "stdout": {out, stdout.Bytes()}, "stderr": {err, stderr.Bytes()}} {
		if sha256.Sum256(pair[0]) != sha256.Sum256(pair[1]) {
			t.Errorf("%s differs: %d bytes sent, %d arrived", name, len(pair[0]), len(pair[1]))
		}
	}
}

// slow is a writer that waits for leave before every write.
type slow struct {
	bytes.Buffer
	leave chan struct{}
}

func (s *slow) Write(p []byte) (int, error) {
	<-s.leave
	return s.Buffer.Write(p)
}

// TestSessionSlowReader has an exit status and 4 MiB under way while the reader of stdout has taken nothing.
// The guest must hear "done" at once, and nothing may be lost.
func TestSessionSlowReader(t *testing.T) {
	const size = 4 << 20
	data := noise(size, 4)
	out := &slow{leave: make(chan struct{})}
	g := startFake(t.Context(), t, Session{Stdout: out, Machine: writable()})
	g.up()
	g.send(g.control, "exit 0 %d 0\n", size)
	if _, err := g.stdout.Write(data); err != nil {
		t.Errorf("the guest cannot get rid of its output: %v", err)
	}
	g.hear("done")
	g.end(Exit{})
	select {
	case o := <-g.outcome:
		t.Fatalf("Run returned %+v before its output was written", o)
	case <-time.After(50 * time.Millisecond):
	}
	close(out.leave)
	if res, err := g.result(); res.Status != 0 || err != nil {
		t.Errorf("result %+v, %v", res, err)
	}
	if !bytes.Equal(out.Bytes(), data) {
		t.Errorf("%d of %d bytes arrived intact", out.Len(), size)
	}
}

// TestSessionImpatient has a user who does not wait until all output has been taken.
func TestSessionImpatient(t *testing.T) {
	out := &slow{leave: make(chan struct{})}
	defer close(out.leave)
	signals := make(chan os.Signal)
	g := startFake(t.Context(), t, Session{Stdout: out, Signals: signals})
	g.up()
	g.send(g.stdout, "x")
	g.send(g.control, "exit 0 1 0\n")
	<-g.gone // Run has all it wants of the guest
	signals <- syscall.SIGINT
	if res, err := g.result(); res.Status != 0 || err == nil {
		t.Errorf("result %+v, %v, want an error for the output", res, err)
	}
}

// TestSessionAheadBound checks that a running program is held back by a reader that takes nothing.
func TestSessionAheadBound(t *testing.T) {
	out := &slow{leave: make(chan struct{})}
	g := startFake(t.Context(), t, Session{Stdout: out, Timeout: 200 * time.Millisecond})
	g.up()
	n, err := g.stdout.Write(make([]byte, 64<<20))
	if err == nil || n > aheadRunning+1<<20 {
		t.Errorf("wrote %d bytes ahead of the reader, %v", n, err)
	}
	close(out.leave)
	if res, _ := g.result(); res.Status != StatusTimeout {
		t.Errorf("result %+v", res)
	}
}

// TestSessionStuckReader checks that a reader that never comes does not hold up the end by a time limit.
func TestSessionStuckReader(t *testing.T) {
	out := &slow{leave: make(chan struct{})}
	log := &slow{leave: out.leave}
	g := startFake(t.Context(), t, Session{Stdout: out, ConsoleLog: log, Timeout: 50 * time.Millisecond})
	g.up()
	g.send(g.stdout, "x")
	g.send(g.console, "y")
	if res, _ := g.result(); res.Status != StatusTimeout {
		t.Errorf("result %+v", res)
	}
	close(out.leave)
}

type refusing struct{}

func (refusing) Write([]byte) (int, error) { return 0, errors.New("nobody listens") }

// TestSessionClosedReader checks that a program learns that its output is not wanted, as SIGPIPE tells it elsewhere.
func TestSessionClosedReader(t *testing.T) {
	g := startFake(t.Context(), t, Session{Stdout: refusing{}, Stderr: refusing{}, ConsoleLog: refusing{}})
	g.send(g.console, "a\r\nb\r\n")
	g.up()
	g.stdin.Read(make([]byte, 1)) // its end shows that "start" has been heard
	for range 3 {
		g.send(g.stdout, "x")
		g.send(g.stderr, "y")
	}
	g.hear("signal 13")
	g.send(g.control, "signal 13 3 3\n")
	res, err := g.result()
	if res.Status != 141 || err == nil || res.ConsoleTail != "a\r\nb\r\n" {
		t.Errorf("result %+v, %v", res, err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("bad disk") }

func TestSessionFailingStdin(t *testing.T) {
	g := startFake(t.Context(), t, Session{Stdin: failing{}})
	g.up()
	if n, err := g.stdin.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("the guest reads %d, %v, want an end", n, err)
	}
	g.send(g.control, "exit 0 0 0\n")
	if res, err := g.result(); err == nil || res.Status != 0 {
		t.Errorf("result %+v, %v, want an error", res, err)
	}
}

func TestTail(t *testing.T) {
	tl := newTail(10)
	all := ""
	for i := range 40 {
		piece := fmt.Sprint(i * i)
		all += piece
		tl.Write([]byte(piece))
		if want := all[max(0, len(all)-10):]; tl.String() != want {
			t.Fatalf("after %q: %q, want %q", all, tl.String(), want)
		}
	}
	tl.Write(bytes.Repeat([]byte("z"), 1000))
	if got := tl.String(); got != "zzzzzzzzzz" || cap(tl.buf) > 100 {
		t.Errorf("after a long write: %q, cap %d", got, cap(tl.buf))
	}
}
