package netboot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
)

// Files in the directory of the state.
const (
	StateFile    = "serve.db"   // leases and machines
	StatusSocket = "serve.sock" // /status and /metrics, for who may open it
)

// Server is all of rambox serve: DHCP, TFTP and HTTP on some addresses, by a
// configuration that can change.
type Server struct {
	log      *slog.Logger
	state    string
	config   atomic.Pointer[Config]
	store    Store
	journal  *Journal
	machines *Machines
	watch    *Watch
	dhcp     *DHCPServer
	digests  Digests
	sites    []*site
	socket   net.Listener

	reload sync.Mutex
}

// site is an address that the server has.
type site struct {
	addr  netip.Addr
	shelf atomic.Pointer[Shelf]
	tftp  *net.UDPConn
	http  net.Listener
}

func (p *site) open(name string, from netip.Addr) (*Content, error) {
	return p.shelf.Load().Open(name, from)
}

// FindLinks returns the links of names or addresses of this machine.
func FindLinks(listen []string) ([]*Link, error) {
	var links []*Link
	for _, text := range listen {
		name := text
		if a, err := netip.ParseAddr(text); err == nil {
			if name, err = linkOf(a); err != nil {
				return nil, err
			}
		}
		if slices.ContainsFunc(links, func(l *Link) bool { return l.Name == name }) {
			continue
		}
		l, err := findLink(name)
		if err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	return links, nil
}

// linkOf names the interface that has an address.
func linkOf(a netip.Addr) (string, error) {
	all, err := net.Interfaces()
	if err != nil {
		return "", err
	}
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil {
			return "", err
		}
		for _, has := range addrs {
			if p, err := netip.ParsePrefix(has.String()); err == nil && p.Addr() == a {
				return i.Name, nil
			}
		}
	}
	return "", fmt.Errorf("address %s: no interface of this machine has it", a)
}

// OpenServer opens all that needs privileges, and the database in the directory
// state. Serve does the rest without any.
func OpenServer(ctx context.Context, c *Config, state string, log *slog.Logger) (_ *Server, err error) {
	links, err := FindLinks(c.Listen)
	if err != nil {
		return nil, err
	}
	s := &Server{log: log, state: state}
	s.config.Store(c)
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := s.openState(); err != nil {
		return nil, err
	}
	var names []string
	for _, l := range links {
		names = append(names, l.Name)
		for _, p := range l.Addrs {
			s.sites = append(s.sites, &site{addr: p.Addr()})
		}
	}
	plan, err := s.plan(c)
	if err != nil {
		return nil, err
	}
	for _, missing := range plan.missing {
		log.Info("not served: " + missing.Error())
	}
	s.use(plan)
	for _, at := range s.sites {
		if at.tftp, err = ListenTFTP(ctx, netip.AddrPortFrom(at.addr, 0), ""); err != nil {
			return nil, err
		}
		if at.http, err = ListenHTTP(ctx, netip.AddrPortFrom(at.addr, uint16(c.HTTPPort)), ""); err != nil {
			return nil, err
		}
	}
	s.dhcp, err = ListenDHCP(DHCPOptions{
		Config: plan.dhcp, Interfaces: names, Store: s.store, Journal: s.journal, Machines: s.machines, Notify: s.watch.Event,
	})
	if err != nil {
		return nil, err
	}
	s.watch.DHCP = s.dhcp.Counters()
	return s, nil
}

func (s *Server) openState() error {
	store, err := OpenBolt(filepath.Join(s.state, StateFile))
	if err != nil {
		return err
	}
	s.store, s.journal = store, NewJournal(store)
	if s.machines, err = LoadMachines(store); err != nil {
		return err
	}
	s.watch = NewWatch(s.machines, s.journal, s.log)
	s.watch.Proxy = s.config.Load().Proxy
	// Whoever had the database open has left this behind.
	path := filepath.Join(s.state, StatusSocket)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if s.socket, err = net.Listen("unix", path); err != nil {
		return fmt.Errorf("status: %w", err)
	}
	return os.Chmod(path, 0o600)
}

// mayWatch tells whether an address may read figures: this machine itself, and
// those of the configuration.
func (s *Server) mayWatch(a netip.Addr) bool {
	if a.IsLoopback() || slices.ContainsFunc(s.sites, func(p *site) bool { return p.addr == a }) {
		return true
	}
	return slices.ContainsFunc(s.config.Load().Watchers, func(p netip.Prefix) bool { return p.Contains(a) })
}

// use puts a plan's files into use. Transfers that are under way keep theirs; a
// directory that nobody uses any more is closed by its finalizer.
func (s *Server) use(p *servePlan) {
	s.config.Store(p.config)
	for _, at := range s.sites {
		at.shelf.Store(p.shelves[at.addr])
	}
}

// Reload takes a new configuration. One that is wrong, or that a running server
// cannot take, changes nothing.
func (s *Server) Reload(read func() (*Config, error)) (err error) {
	s.reload.Lock()
	defer s.reload.Unlock()
	defer func() { s.watch.Reloaded(err) }()
	c, err := read()
	if err != nil {
		return err
	}
	old := s.config.Load()
	switch {
	case !slices.Equal(c.Listen, old.Listen):
		return fmt.Errorf("%s: listen: only a restart changes that", c.File)
	case c.Proxy != old.Proxy:
		return fmt.Errorf("%s: mode: only a restart changes that", c.File)
	case c.HTTPPort != old.HTTPPort:
		return fmt.Errorf("%s: http-port: only a restart changes that", c.File)
	}
	p, err := s.plan(c)
	if err == nil {
		err = s.dhcp.Configure(p.dhcp)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	s.use(p)
	return nil
}

// Serve answers until ctx ends or a part of it cannot go on.
func (s *Server) Serve(ctx context.Context) error {
	defer s.close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var parts sync.WaitGroup
	run := func(f func(context.Context) error) {
		parts.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	run(s.dhcp.Serve)
	handler := http.NewServeMux()
	s.watch.Handle(handler, s.mayWatch)
	handler.HandleFunc(ReportPath, s.watch.Report)
	handler.HandleFunc(ReportPath+"/", s.watch.Report)
	for _, at := range s.sites {
		tftp := &TFTPServer{Open: at.open, Log: s.log, Done: s.watch.Transfer}
		run(func(ctx context.Context) error { return tftp.Serve(ctx, at.tftp, "") })
		files := &FileHandler{Open: at.open, Digests: &s.digests, Log: s.log, Done: s.watch.Transfer}
		web := &HTTPServer{Handler: besides(handler, files), Log: s.log}
		run(func(ctx context.Context) error { return web.Serve(ctx, at.http) })
		s.log.Info("serving", "addr", at.addr, "http", at.http.Addr().String(), "proxy", s.config.Load().Proxy)
	}
	run(s.serveSocket)
	var stores sync.WaitGroup
	ended, end := context.WithCancel(context.WithoutCancel(ctx))
	stores.Go(func() { s.watch.Run(ended) })
	<-ctx.Done()
	parts.Wait()
	end()
	stores.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// besides serves files by all names that a mux does not have. The mux alone
// would redirect names that are not in its form, which boot programs do not
// follow.
func besides(mux *http.ServeMux, files http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		files.ServeHTTP(w, r)
	})
}

// serveSocket answers who may open the socket of the state.
func (s *Server) serveSocket(ctx context.Context) error {
	mux := http.NewServeMux()
	s.watch.Handle(mux, func(netip.Addr) bool { return true })
	server := &http.Server{Handler: mux, ReadHeaderTimeout: httpHeaderTime, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(s.socket); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("status: %w", err)
	}
	return nil
}

// close closes what is open. What Serve has run has closed its own.
func (s *Server) close() {
	for _, at := range s.sites {
		if at.tftp != nil {
			at.tftp.Close()
		}
		if at.http != nil {
			at.http.Close()
		}
	}
	if s.socket != nil {
		s.socket.Close()
	}
	if s.journal != nil {
		s.journal.Close()
	}
	if s.store != nil {
		s.store.Close()
	}
}
