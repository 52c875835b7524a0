package netboot

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
)

// site is an address that the server has.
type site struct {
	addr  netip.Addr
	shelf atomic.Pointer[Shelf]
	tftp  *net.UDPConn
	http  net.Listener
	stop  context.CancelFunc // nil: it has not begun
}

func (p *site) open(name string, from netip.Addr) (*Content, error) {
	return p.shelf.Load().Open(name, from)
}

func (p *site) close() {
	if p.tftp != nil {
		p.tftp.Close()
	}
	if p.http != nil {
		p.http.Close()
	}
}

// openSites opens what is not open of the addresses of links, and returns a site
// for each. New ones are those that the server did not have.
func (s *Server) openSites(ctx context.Context, links []*Link, port int) (all, opened []*site, err error) {
	s.mu.Lock()
	have := slices.Clone(s.sites)
	s.mu.Unlock()
	for _, l := range links {
		for _, p := range l.Addrs {
			if i := slices.IndexFunc(have, func(at *site) bool { return at.addr == p.Addr() }); i >= 0 {
				all = append(all, have[i])
				continue
			}
			at := &site{addr: p.Addr()}
			all, opened = append(all, at), append(opened, at)
			if at.tftp, err = ListenTFTP(ctx, netip.AddrPortFrom(at.addr, 0), ""); err == nil {
				at.http, err = ListenHTTP(ctx, netip.AddrPortFrom(at.addr, uint16(port)), "")
			}
			if err != nil {
				closeSites(opened)
				return nil, nil, err
			}
		}
	}
	return all, opened, nil
}

func closeSites(sites []*site) {
	for _, at := range sites {
		at.close()
	}
}

// useSites takes sites into use, and ends the others.
func (s *Server) useSites(sites []*site) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, old := range s.sites {
		if slices.Contains(sites, old) {
			continue
		}
		s.log.Info("no longer serving: this machine has the address no more", "addr", old.addr)
		if old.stop != nil {
			old.stop()
		} else {
			old.close()
		}
	}
	s.sites = sites
	if s.begin == nil {
		return
	}
	for _, at := range sites {
		if at.stop == nil {
			s.begin(at)
		}
	}
}

// serveSites begins to serve, also at the addresses that come later, until the
// function that it returns is called. run runs a part of the server.
func (s *Server) serveSites(ctx context.Context, run func(context.Context, func(context.Context) error)) (end func()) {
	handler := http.NewServeMux()
	s.watch.Handle(handler, s.mayWatch)
	handler.HandleFunc(ReportPath, s.watch.Report)
	handler.HandleFunc(ReportPath+"/", s.watch.Report)
	begin := func(at *site) {
		own, stop := context.WithCancel(ctx)
		at.stop = stop
		tftp := &TFTPServer{Open: at.open, Log: s.log, Done: s.watch.Transfer}
		run(own, func(ctx context.Context) error { return tftp.Serve(ctx, at.tftp, "") })
		files := &FileHandler{Open: at.open, Digests: &s.digests, Log: s.log, Done: s.watch.Transfer}
		web := &HTTPServer{Handler: besides(handler, files), Log: s.log}
		run(own, func(ctx context.Context) error { return web.Serve(ctx, at.http) })
		s.log.Info("serving", "addr", at.addr, "http", at.http.Addr().String(), "proxy", s.config.Load().Proxy)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin = begin
	for _, at := range s.sites {
		begin(at)
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.begin = nil
	}
}

// mayWatch tells whether an address may read figures: this machine itself, and
// those of the configuration.
func (s *Server) mayWatch(a netip.Addr) bool {
	s.mu.Lock()
	own := slices.ContainsFunc(s.sites, func(p *site) bool { return p.addr == a })
	s.mu.Unlock()
	return own || a.IsLoopback() || slices.ContainsFunc(s.config.Load().Watchers, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Moved tells whether the addresses of the server's links are others than those
// it serves: then it is time for Reload.
func (s *Server) Moved() bool {
	links, err := FindLinks(s.config.Load().Listen)
	return err != nil || !slices.EqualFunc(links, s.dhcp.Links(), func(a, b *Link) bool {
		return a.Name == b.Name && a.Index == b.Index && slices.Equal(a.Addrs, b.Addrs)
	})
}
