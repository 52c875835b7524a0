//go:build linux

// Bootserver boots machines over the network until SIGTERM: DHCP, TFTP and HTTP on
// one interface, as its only argument, a JSON object, says. It writes "ready" when
// its ports are open.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"

	"rambox/internal/netboot"
)

// config is the argument.
type config struct {
	DHCP      netboot.DHCPConfig
	Nodes     map[string]netboot.Node // by hardware address
	Interface string
	Address   netip.Addr // of the interface
	HTTPPort  uint16
	Servers   []string // base URLs
	Programs  []netboot.Program
}

// book is the configuration's machines.
type book map[string]netboot.Node

func (b book) Lookup(c netboot.Client) (netboot.Node, bool) {
	n, ok := b[c.MAC.String()]
	return n, ok
}

func (b book) Reserved(a netip.Addr) bool {
	for _, n := range b {
		if n.Address == a {
			return true
		}
	}
	return false
}

func main() {
	var c config
	err := json.Unmarshal([]byte(os.Args[1]), &c)
	if err == nil {
		err = serve(c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(c config) error {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	nodes := book(c.Nodes)
	store := &netboot.Memory{}
	journal := netboot.NewJournal(store)
	defer journal.Close()
	machines, err := netboot.LoadMachines(store)
	if err != nil {
		return err
	}
	shelf, err := newShelf(c, nodes, machines)
	if err != nil {
		return err
	}
	c.DHCP.Book = nodes
	dhcp, err := netboot.ListenDHCP(netboot.DHCPOptions{
		Config: c.DHCP, Interfaces: []string{c.Interface}, Store: store, Journal: journal, Machines: machines,
		Notify: func(e netboot.Event) { log.Info("DHCP", "event", e.Kind, "address", e.Addr, "text", e.Text) },
	})
	if err != nil {
		return err
	}
	web, err := netboot.ListenHTTP(ctx, netip.AddrPortFrom(c.Address, c.HTTPPort), c.Interface)
	if err != nil {
		return err
	}
	files, err := netboot.ListenTFTP(ctx, netip.AddrPortFrom(netip.IPv4Unspecified(), 0), c.Interface)
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	run := func(f func() error) {
		running.Go(func() {
			if err := f(); err != nil {
				log.Error("server", "reason", err)
				stop()
			}
		})
	}
	run(func() error { return dhcp.Serve(ctx) })
	run(func() error {
		s := &netboot.HTTPServer{Handler: &netboot.FileHandler{Open: shelf.Open, Digests: &netboot.Digests{}, Log: log}, Log: log}
		return s.Serve(ctx, web)
	})
	run(func() error {
		s := &netboot.TFTPServer{Open: shelf.Open, Log: log}
		return s.Serve(ctx, files, c.Interface)
	})
	fmt.Println("ready")
	running.Wait()
	return nil
}

func newShelf(c config, nodes book, machines *netboot.Machines) (*netboot.Shelf, error) {
	shelf := &netboot.Shelf{}
	if err := shelf.Serve(c.Programs...); err != nil {
		return nil, err
	}
	for _, n := range nodes {
		shelf.Shelve(n)
	}
	loader := netboot.Loader{Shelf: shelf, Digests: &netboot.Digests{}, Servers: c.Servers}
	generator := &netboot.Generator{Book: nodes, Servers: c.Servers, Load: loader.Load, Known: machines.Known}
	shelf.Generate = generator.Make
	return shelf, nil
}
