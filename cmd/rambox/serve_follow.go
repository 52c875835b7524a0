package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"rambox/internal/netboot"
)

// follow reads the configuration again when it changes, when an interface gets
// another address, and on SIGHUP. While the new one is wrong the old one stays.
func (o *serveOptions) follow(ctx context.Context, s *netboot.Server, hangup <-chan os.Signal, log *slog.Logger) {
	changed := make(chan struct{}, 1)
	change := func() {
		select {
		case changed <- struct{}{}:
		default: // it will be read anyway
		}
	}
	if o.config != "" {
		go func() {
			path, err := filepath.Abs(o.config)
			if err == nil {
				err = netboot.Follow(ctx, path, change)
			}
			if err != nil {
				log.Warn("changes of the configuration go unnoticed: use SIGHUP", "reason", err)
			}
		}()
	}
	go func() {
		err := netboot.FollowAddresses(ctx, func() {
			if s.Moved() {
				change()
			}
		})
		if err != nil {
			log.Warn("changes of this machine's addresses go unnoticed: use SIGHUP", "reason", err)
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		case <-changed:
		}
		if err := s.Reload(o.load); err != nil {
			log.Error("the old configuration stays: " + err.Error())
			continue
		}
		log.Info("new configuration", "file", o.config)
	}
}

// lessPrivileges gives up what only the opening of sockets needs.
func (o *serveOptions) lessPrivileges(log *slog.Logger) error {
	switch {
	case o.user != "":
		return netboot.BecomeUser(o.user)
	case os.Geteuid() != 0:
		err := netboot.LimitCapabilities()
		if errors.Is(err, unix.ENOTSUP) {
			log.Warn("keeps its capabilities: this rambox was not built with CGO_ENABLED=0")
			return nil
		}
		return err
	}
	log.Info("runs as root: --user NAME gives that up")
	return nil
}

// explainPrivileges says what is needed where the kernel has refused a socket.
func explainPrivileges(err error) error {
	if (errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)) && os.Geteuid() != 0 {
		return fmt.Errorf("%w: serve needs root, or CAP_NET_BIND_SERVICE and CAP_NET_RAW (contrib/rambox-serve.service)", err)
	}
	return err
}

// dialSystemd connects to the service manager, if there is one (sd_notify(3)). It
// may let root in, and nobody else.
func dialSystemd() (io.WriteCloser, error) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nopCloser{io.Discard}, nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nopCloser{io.Discard}, fmt.Errorf("tell systemd: %w", err)
	}
	return c, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
