//go:build linux

// Fileserver serves a directory by HTTP and TFTP until SIGTERM: the file-serving
// half of a network boot server, as a process that can be measured.
//
//	fileserver DIRECTORY ADDRESS HTTP-PORT TFTP-PORT DEVICE
//
// It writes "ready" when its ports are open. A port of "-" is none.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"rambox/internal/netboot"
)

func main() {
	if err := serve(os.Args[1], netip.MustParseAddr(os.Args[2]), os.Args[3], os.Args[4], os.Args[5]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(dir string, at netip.Addr, httpPort, tftpPort, device string) error {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	shelf := &netboot.Shelf{Root: root}
	var running sync.WaitGroup
	if httpPort != "-" {
		port, err := strconv.ParseUint(httpPort, 10, 16)
		if err != nil {
			return err
		}
		l, err := netboot.ListenHTTP(ctx, netip.AddrPortFrom(at, uint16(port)), device)
		if err != nil {
			return err
		}
		s := &netboot.HTTPServer{Handler: &netboot.FileHandler{Open: shelf.Open, Digests: &netboot.Digests{}}, Log: log}
		running.Go(func() { report(s.Serve(ctx, l)) })
	}
	if tftpPort != "-" {
		port, err := strconv.ParseUint(tftpPort, 10, 16)
		if err != nil {
			return err
		}
		c, err := netboot.ListenTFTP(ctx, netip.AddrPortFrom(at, uint16(port)), device)
		if err != nil {
			return err
		}
		s := &netboot.TFTPServer{Open: shelf.Open, Log: log}
		running.Go(func() { report(s.Serve(ctx, c, device)) })
	}
	fmt.Println("ready")
	running.Wait()
	return nil
}

func report(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
