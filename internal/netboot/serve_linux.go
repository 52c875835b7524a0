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
	socket   net.Listener

	reload sync.Mutex
	stubs  map[string][]byte // by Arch.CPU; that have been found

	mu    sync.Mutex // over what follows
	sites []*site
	begin func(*site) // nil: the server does not run
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
		return nil, c.wrong("listen", err)
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
	if s.sites, _, err = s.openSites(ctx, links, c.HTTPPort); err != nil {
		return nil, err
	}
	plan, err := s.plan(c, s.sites)
	if err != nil {
		return nil, err
	}
	for _, missing := range plan.missing {
		log.Info("not served: " + missing.Error())
	}
	s.use(plan)
	var names []string
	for _, l := range links {
		names = append(names, l.Name)
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

// use puts a plan's files into use. Transfers that are under way keep theirs; a
// directory that nobody uses any more is closed by its finalizer.
func (s *Server) use(p *servePlan) {
	s.config.Store(p.config)
	for at, shelf := range p.shelves {
		at.shelf.Store(shelf)
	}
}

// Reload takes a new configuration, and the addresses that the interfaces have by
// now. A configuration that is wrong, or that a running server cannot take,
// changes nothing.
func (s *Server) Reload(read func() (*Config, error)) (err error) {
	s.reload.Lock()
	defer s.reload.Unlock()
	defer func() { s.watch.Reloaded(err) }()
	c, err := read()
	if err != nil {
		return err
	}
	old, restart := s.config.Load(), errors.New("only a restart changes that")
	switch {
	case !slices.Equal(c.Listen, old.Listen):
		return c.wrong("listen", restart)
	case c.Proxy != old.Proxy:
		return c.wrong("mode", restart)
	case c.HTTPPort != old.HTTPPort:
		return c.wrong("http-port", restart)
	}
	links, err := FindLinks(c.Listen)
	if err != nil {
		return c.wrong("listen", err)
	}
	sites, opened, err := s.openSites(context.Background(), links, c.HTTPPort)
	if err != nil {
		return c.wrong("listen", err)
	}
	p, err := s.plan(c, sites)
	if err == nil {
		if err = s.dhcp.Configure(p.dhcp, links); err != nil {
			err = c.wrong("listen", err)
		}
	}
	if err != nil {
		closeSites(opened)
		return err
	}
	s.use(p)
	s.useSites(sites)
	return nil
}

// Serve answers until ctx ends or a part of it cannot go on.
func (s *Server) Serve(ctx context.Context) error {
	defer s.close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var parts sync.WaitGroup
	run := func(ctx context.Context, f func(context.Context) error) {
		parts.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	run(ctx, s.dhcp.Serve)
	endSites := s.serveSites(ctx, run)
	run(ctx, s.serveSocket)
	var stores sync.WaitGroup
	ended, end := context.WithCancel(context.WithoutCancel(ctx))
	stores.Go(func() { s.watch.Run(ended) })
	<-ctx.Done()
	endSites()
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
	s.mu.Lock()
	closeSites(s.sites)
	s.mu.Unlock()
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
