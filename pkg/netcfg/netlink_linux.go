package netcfg

import (
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// netlinkTimeout bounds the wait for the kernel's answer to one request.
const netlinkTimeout = 5 * time.Second

// Handle talks rtnetlink (rtnetlink(7)) in the network namespace in which it
// was opened. It is not safe for concurrent use.
type Handle struct {
	h *netlink.Handle

	// raw is for what the library asks but does not parse.
	raw map[int]*nl.SocketHandle
}

// Open opens a handle. A kernel without networking gives an error that is
// [ErrNoNetwork].
func Open() (*Handle, error) {
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, noNetwork(err)
	}
	if err := h.SetSocketTimeout(netlinkTimeout); err != nil {
		h.Close()
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	// Subscribed to nothing, it is a socket like the handle's.
	raw, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		h.Close()
		return nil, noNetwork(err)
	}
	timeout := unix.NsecToTimeval(int64(netlinkTimeout))
	if err := raw.SetReceiveTimeout(&timeout); err != nil {
		h.Close()
		raw.Close()
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	return &Handle{h, map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: raw}}}, nil
}

// ErrNoNetwork says that the kernel has no rtnetlink.
var ErrNoNetwork = errors.New("the kernel has no network support")

// noNetwork is the error of a netlink socket that could not be opened.
func noNetwork(err error) error {
	if errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ENOSYS) {
		return ErrNoNetwork
	}
	return fmt.Errorf("open rtnetlink: %w", err)
}

// Close closes the handle's sockets. The error is always nil.
func (h *Handle) Close() error {
	h.h.Close()
	h.raw[unix.NETLINK_ROUTE].Close()
	return nil
}
