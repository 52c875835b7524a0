//go:build linux

package qemu

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fake is the guest's side of a session: the other ends of the sockets that QEMU would hold.
type fake struct {
	t                                       *testing.T
	console, control, stdin, stdout, stderr *net.UnixConn
	ended                                   chan Exit
	gone                                    chan struct{} // closed by end
	once                                    sync.Once
	outcome                                 chan outcome
}

type outcome struct {
	res Result
	err error
}

// startFake runs s with a fake guest.
func startFake(ctx context.Context, t *testing.T, s Session) *fake {
	t.Helper()
	ours, files, err := socketPairs(5)
	if err != nil {
		t.Fatal(err)
	}
	var theirs []*net.UnixConn
	for _, f := range files {
		c, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		theirs = append(theirs, c.(*net.UnixConn))
	}
	g := &fake{
		t: t, console: theirs[0], control: theirs[1], stdin: theirs[2], stdout: theirs[3], stderr: theirs[4],
		ended: make(chan Exit, 1), gone: make(chan struct{}), outcome: make(chan outcome, 1),
	}
	s.Nonce = "N"
	r := newRun(s)
	vm := newVM(
		process{kill: func() { g.end(Exit{Code: -1, Signal: syscall.SIGKILL}) }, wait: func() Exit { return <-g.ended }},
		ours[0], map[string]*net.UnixConn{portControl: ours[1], portStdin: ours[2], portStdout: ours[3], portStderr: ours[4]}, r.console)
	go func() {
		res, err := r.run(ctx, vm)
		g.outcome <- outcome{res, err}
	}()
	t.Cleanup(func() { g.end(Exit{}) })
	return g
}

// end is the end of QEMU.
func (g *fake) end(exit Exit) {
	g.once.Do(func() {
		closeAll([]*net.UnixConn{g.console, g.control, g.stdin, g.stdout, g.stderr})
		g.ended <- exit
		close(g.gone)
	})
}

// send writes to one of the guest's streams; the host must take it in 10 s.
func (g *fake) send(to net.Conn, format string, args ...any) {
	_ = to.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(to, format, args...); err != nil {
		g.t.Errorf("send %q: %v", format, err)
	}
}

// up is an init with ports whose program has started.
func (g *fake) up() { g.send(g.control, "boot\nstart\n") }

// hear reads what the host says until its line is want.
func (g *fake) hear(want string) {
	_ = g.control.SetReadDeadline(time.Now().Add(10 * time.Second))
	var line []byte
	for b := make([]byte, 1); ; {
		if _, err := io.ReadFull(g.control, b); err != nil {
			g.t.Errorf("waiting for %q: %v", want, err)
			return
		}
		if b[0] != '\n' {
			line = append(line, b[0])
			continue
		}
		if string(line) == want {
			return
		}
		line = nil
	}
}

// result waits for the session's end.
func (g *fake) result() (Result, error) {
	g.t.Helper()
	select {
	case o := <-g.outcome:
		return o.res, o.err
	case <-time.After(20 * time.Second):
		g.t.Fatal("the session does not end")
		return Result{}, nil
	}
}
