//go:build linux

package netboot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// TFTPLimits bounds what clients can make a [TFTPServer] do. A zero is the
// default.
type TFTPLimits struct {
	Sessions  int // at a time; 2048
	PerClient int // of them for one address; 8
	MaxBlock  int // bytes of data in a packet, whatever clients ask for; what the link takes without fragments
}

func (l TFTPLimits) withDefaults() TFTPLimits {
	if l.Sessions == 0 {
		l.Sessions = 2048
	}
	if l.PerClient == 0 {
		l.PerClient = 8
	}
	if l.MaxBlock == 0 {
		l.MaxBlock = maxBlock
	}
	return l
}

// TFTPServer gives files to TFTP clients (RFC 1350, 2347 to 2349, 7440), and
// takes none. Each transfer has a socket of its own, connected to its client:
// the kernel tells the packets apart, drops those of strangers, and reports a
// client that is gone.
type TFTPServer struct {
	Open   OpenFunc
	Limits TFTPLimits
	Log    *slog.Logger   // nil: none
	Done   func(Transfer) // called at the end of each transfer, from any goroutine; may be nil

	mu       sync.Mutex
	sessions map[netip.AddrPort]*tftpSession
	clients  map[netip.Addr]int
	running  sync.WaitGroup
}

// tftpSession is a transfer that is under way.
type tftpSession struct {
	request []byte
	cancel  context.CancelFunc
	started bool // the client has acknowledged something; guarded by the server's mu
}

// Serve answers the requests that arrive at conn until ctx ends, and closes it.
// device is what [ListenTFTP] was given.
func (s *TFTPServer) Serve(ctx context.Context, conn *net.UDPConn, device string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.running.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	defer conn.Close()
	packet := make([]byte, tftpMaxRequest+1) // a longer one is cut, and refused
	oob := make([]byte, 128)
	for {
		n, oobn, _, client, err := conn.ReadMsgUDPAddrPort(packet, oob)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("TFTP: %w", err)
		case err != nil: // an ICMP error about an answer
			continue
		}
		to, ok := destination(oob[:oobn])
		if !ok || client.Port() == 0 {
			continue
		}
		s.request(ctx, arrival{packet[:n], client, to, device})
	}
}

// arrival is a request and the way that it has come.
type arrival struct {
	packet []byte
	client netip.AddrPort
	to     netip.Addr // of this machine
	device string     // that the server is kept to; "": none
}

// request begins a transfer, or says why not.
func (s *TFTPServer) request(ctx context.Context, a arrival) {
	r, ok, fault := parseRequest(a.packet)
	if fault != nil {
		s.refuse(a, fault)
	}
	if !ok {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	session := &tftpSession{request: bytes.Clone(a.packet), cancel: cancel}
	if !s.admit(a.client, session) {
		cancel()
		return
	}
	a.packet = nil // Serve reads the next one into it
	s.running.Go(func() {
		defer cancel()
		report := s.run(ctx, a, r, session)
		s.forget(a.client, session)
		s.done(report)
	})
}

// admit makes room for a session. A client that gets none asks again later by
// itself; an ERROR would make it give up.
func (s *TFTPServer) admit(client netip.AddrPort, session *tftpSession) bool {
	limits := s.Limits.withDefaults()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions == nil {
		s.sessions, s.clients = map[netip.AddrPort]*tftpSession{}, map[netip.Addr]int{}
	}
	before := s.sessions[client]
	switch {
	case before != nil && !before.started && bytes.Equal(before.request, session.request):
		return false // the same request again: our answer is on its way, or will be sent again
	case before != nil: // the client has given up the one before
		before.cancel()
	case len(s.sessions) >= limits.Sessions, s.clients[client.Addr()] >= limits.PerClient:
		s.log().Warn("TFTP: too many transfers", "client", client.Addr(), "all", len(s.sessions), "its own", s.clients[client.Addr()])
		return false
	}
	if before == nil {
		s.clients[client.Addr()]++
	}
	s.sessions[client] = session
	return true
}

// forget undoes admit, unless a later session of the client has taken the place.
func (s *TFTPServer) forget(client netip.AddrPort, session *tftpSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[client] != session {
		return
	}
	delete(s.sessions, client)
	if s.clients[client.Addr()]--; s.clients[client.Addr()] == 0 {
		delete(s.clients, client.Addr())
	}
}

func (s *TFTPServer) log() *slog.Logger {
	if s.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Log
}

// refuse answers a request by an error.
func (s *TFTPServer) refuse(a arrival, fault *tftpFault) {
	// PXELINUX asks for a dozen names of which there is one.
	level := slog.LevelWarn
	if fault.code == tftpNotFound {
		level = slog.LevelInfo
	}
	s.log().Log(context.Background(), level, "TFTP: refused", "client", a.client.Addr(), "reason", fault.text)
	conn, _, err := a.connect()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write(fault.packet()) // a client that gets none asks again
}

// run is one transfer from its beginning to its end.
func (s *TFTPServer) run(ctx context.Context, a arrival, r tftpRequest, session *tftpSession) (report Transfer) {
	began := time.Now()
	defer func() { report.Took = time.Since(began) }()
	report = Transfer{Protocol: "tftp", Client: a.client.Addr(), Name: r.name}
	content, err := s.Open(r.name, a.client.Addr())
	if err != nil {
		s.refuse(a, openFault(err))
		report.Err = err
		return report
	}
	defer content.Close()
	report.Name, report.Size = content.Name, content.Size
	conn, mtu, err := a.connect()
	if err == nil {
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		defer conn.Close()
		// The headers of IPv4, without options, of UDP, and of DATA.
		block := min(s.Limits.withDefaults().MaxBlock, mtu-20-8-tftpHeader)
		t := newTFTPTransfer(r, content, content.Size, block)
		err = s.drive(conn, t, session)
		if ctx.Err() != nil {
			err = context.Canceled
		}
		report.Sent, report.Resent = min(t.acked*t.block, content.Size), t.resent
	}
	report.Err = err
	return report
}

func (s *TFTPServer) done(t Transfer) {
	if t.Err != nil {
		s.log().Info("TFTP: not sent", "client", t.Client, "file", t.Name, "bytes", t.Sent, "of", t.Size, "reason", t.Err)
	} else {
		s.log().Info("TFTP: sent", "client", t.Client, "file", t.Name, "bytes", t.Size, "took", t.Took.Round(time.Millisecond), "resent", t.Resent)
	}
	if s.Done != nil {
		s.Done(t)
	}
}

// openFault tells a client why it does not get a file, without the names of
// this machine.
func openFault(err error) *tftpFault {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return tftpFaultf(tftpNotFound, "no such file")
	case errors.Is(err, fs.ErrPermission):
		return tftpFaultf(tftpAccess, "no access")
	}
	return tftpFaultf(tftpUndefined, "cannot open the file")
}

// drive moves packets between a transfer and its client.
func (s *TFTPServer) drive(conn *net.UDPConn, t *tftpTransfer, session *tftpSession) error {
	var packet [tftpMaxRequest]byte // acknowledgements and errors; the rest of longer ones is lost
	for {
		for {
			p := t.next(time.Now())
			if p == nil {
				break
			}
			// A queue that is full loses a packet, as a wire may.
			if _, err := conn.Write(p); err != nil && !errors.Is(err, unix.ENOBUFS) {
				return err
			}
		}
		if t.over {
			return t.err
		}
		if err := conn.SetReadDeadline(t.deadline); err != nil {
			return err
		}
		n, err := conn.Read(packet[:])
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			t.expire(time.Now())
		case err != nil:
			return err
		default:
			t.receive(packet[:n], time.Now())
		}
		if t.started && !session.started {
			s.mu.Lock()
			session.started = true
			s.mu.Unlock()
		}
	}
}
