//go:build linux

package netboot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// HTTPLimits bounds what clients can make an [HTTPServer] do. A zero is the
// default.
type HTTPLimits struct {
	Connections int // at a time; 2048. Further clients wait
	PerClient   int // of them for one address; 64. Further ones are closed at once
}

func (l HTTPLimits) withDefaults() HTTPLimits {
	if l.Connections == 0 {
		l.Connections = 2048
	}
	if l.PerClient == 0 {
		l.PerClient = 64
	}
	return l
}

// Times and sizes of an HTTPServer. How long an answer may take is for the
// handler to say.
const (
	httpHeaderTime  = 10 * time.Second // to send a request's header
	httpRequestTime = 30 * time.Second // and what follows it, which nobody needs
	httpIdleTime    = 30 * time.Second // between requests
	httpSilence     = 30 * time.Second // of a client that acknowledges no data
	httpHeader      = 8 << 10          // bytes; net/http adds 4096
	httpFarewell    = 5 * time.Second  // for transfers to end when the server does
)

// HTTPServer serves plain HTTP/1.1 with bounds for time, size and number.
type HTTPServer struct {
	Handler http.Handler
	Limits  HTTPLimits
	Log     *slog.Logger // nil: none
}

// ListenHTTP opens the socket. With a device nothing is received from any other.
func ListenHTTP(ctx context.Context, at netip.AddrPort, device string) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return control(c, func(fd int) error {
			// Connections have it from their listener.
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(httpSilence/time.Millisecond)); err != nil {
				return fmt.Errorf("TCP_USER_TIMEOUT: %w", err)
			}
			return bindToDevice(fd, device)
		})
	}}
	l, err := config.Listen(ctx, "tcp", at.String())
	if err != nil {
		return nil, fmt.Errorf("HTTP: %w", err)
	}
	return l, nil
}

// Serve answers until ctx ends, and closes l. It then lets transfers go on for
// a few seconds.
func (s *HTTPServer) Serve(ctx context.Context, l net.Listener) error {
	log := s.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	server := &http.Server{
		Handler: s.Handler, ReadHeaderTimeout: httpHeaderTime, ReadTimeout: httpRequestTime, IdleTimeout: httpIdleTime, MaxHeaderBytes: httpHeader,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	ended := make(chan struct{})
	defer context.AfterFunc(ctx, func() {
		defer close(ended)
		farewell, cancel := context.WithTimeout(context.WithoutCancel(ctx), httpFarewell)
		defer cancel()
		if server.Shutdown(farewell) != nil {
			_ = server.Close() // whoever is left is cut off
		}
	})()
	err := server.Serve(newLimitedListener(l, s.Limits.withDefaults(), log))
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("HTTP: %w", err)
	}
	<-ended
	return nil
}

// limitedListener takes no more connections than it is allowed to.
type limitedListener struct {
	net.Listener
	limits HTTPLimits
	log    *slog.Logger
	places chan struct{} // holds a token for each connection
	closed chan struct{}
	close  func() error

	mu      sync.Mutex
	clients map[netip.Addr]int
}

func newLimitedListener(l net.Listener, limits HTTPLimits, log *slog.Logger) *limitedListener {
	closed := make(chan struct{})
	return &limitedListener{
		Listener: l, limits: limits, log: log, places: make(chan struct{}, limits.Connections), clients: map[netip.Addr]int{},
		closed: closed, close: sync.OnceValue(func() error {
			close(closed)
			return l.Close()
		}),
	}
}

func (l *limitedListener) Close() error { return l.close() }

// Accept waits until there is a place. The kernel keeps those who come
// meanwhile.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		select {
		case l.places <- struct{}{}:
		case <-l.closed:
			return nil, net.ErrClosed
		}
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.places
			return nil, err
		}
		tcp, ok := c.(*net.TCPConn)
		if !ok {
			<-l.places
			c.Close()
			return nil, fmt.Errorf("listener for %s, want TCP", c.LocalAddr().Network())
		}
		client := tcp.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
		if l.admit(client) {
			return &limitedConn{TCPConn: tcp, leave: sync.OnceFunc(func() { l.leave(client) })}, nil
		}
		<-l.places
		l.log.Debug("HTTP: too many connections", "client", client)
		tcp.Close()
	}
}

func (l *limitedListener) admit(client netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.clients[client] >= l.limits.PerClient {
		return false
	}
	l.clients[client]++
	return true
}

func (l *limitedListener) leave(client netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.clients[client]--; l.clients[client] == 0 {
		delete(l.clients, client)
	}
	<-l.places
}

// limitedConn gives its place back. It has all methods of a TCPConn, ReadFrom
// for one, which lets the kernel copy.
type limitedConn struct {
	*net.TCPConn
	leave func()
}

func (c *limitedConn) Close() error {
	defer c.leave()
	return c.TCPConn.Close()
}
