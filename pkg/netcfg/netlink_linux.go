package netcfg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// netlinkTimeout bounds the wait for the kernel's answer to one request.
const netlinkTimeout = 5 * time.Second

// Handle talks rtnetlink (rtnetlink(7)) in the network namespace in which it
// was opened. It is not safe for concurrent use.
//
// It is made of the library's messages and sockets, package nl. The Handle of
// the library above them knows every kind of link and route there is, and would
// be an eighth of init.
type Handle struct {
	sockets map[int]*nl.SocketHandle
}

// Open opens a handle. A kernel without networking gives an error that is
// [ErrNoNetwork].
func Open() (*Handle, error) {
	// Subscribed to nothing, it serves for requests.
	s, err := nl.Subscribe(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, noNetwork(err)
	}
	limit := unix.NsecToTimeval(int64(netlinkTimeout))
	if err := errors.Join(s.SetSendTimeout(&limit), s.SetReceiveTimeout(&limit)); err != nil {
		s.Close()
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	return &Handle{map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: s}}}, nil
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

// Close closes the handle's socket. The error is always nil.
func (h *Handle) Close() error {
	h.sockets[unix.NETLINK_ROUTE].Close()
	return nil
}

// change asks for a change and waits until the kernel has made it.
func (h *Handle) change(kind, flags int, header nl.NetlinkRequestData, attrs ...*nl.RtAttr) error {
	_, err := h.request(kind, flags|unix.NLM_F_ACK, 0, header, attrs)
	return err
}

// list asks for all objects of a kind and returns the message of each. A list
// that changed while it was read is no error: an event of the change follows.
func (h *Handle) list(ask int, answer uint16, header nl.NetlinkRequestData) ([][]byte, error) {
	messages, err := h.request(ask, unix.NLM_F_DUMP, answer, header, nil)
	if errors.Is(err, nl.ErrDumpInterrupted) {
		err = nil
	}
	return messages, err
}

func (h *Handle) request(kind, flags int, answer uint16, header nl.NetlinkRequestData, attrs []*nl.RtAttr) ([][]byte, error) {
	r := nl.NewNetlinkRequest(kind, flags)
	r.Sockets = h.sockets
	r.AddData(header)
	for _, a := range attrs {
		r.AddData(a)
	}
	return r.Execute(unix.NETLINK_ROUTE, answer)
}

// attributes returns the attributes that follow a message's header by their
// number, without the flags in it.
func attributes(message []byte, header int) (map[uint16][]byte, error) {
	if len(message) < header {
		return nil, unix.EINVAL
	}
	listed, err := nl.ParseRouteAttr(message[header:])
	if err != nil {
		return nil, err
	}
	attrs := make(map[uint16][]byte, len(listed))
	for _, a := range listed {
		attrs[a.Attr.Type&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER)] = a.Value
	}
	return attrs, nil
}

// number is an attribute of 32 bits, 0 when it is not there.
func number(attr []byte) int {
	if len(attr) < 4 {
		return 0
	}
	return int(binary.NativeEndian.Uint32(attr))
}
