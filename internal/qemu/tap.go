//go:build linux

package qemu

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// openTap opens the tap device that n needs. It is nil for networks without one, and for a bridge that only QEMU's helper
// may put a device on.
func (m Machine) openTap() (*os.File, error) {
	n := m.Net
	if n.Kind != "tap" && n.Kind != "bridge" {
		return nil, nil
	}
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	defer h.Close()
	if n.Kind == "tap" {
		tap, err := attachTap(h, n.Link)
		if err != nil {
			return nil, fmt.Errorf("tap device %s: %w", n.Link, err)
		}
		return tap, nil
	}
	tap, err := bridgeTap(h, n.Link)
	if errors.Is(err, fs.ErrPermission) {
		tap, err = nil, m.checkHelper()
	}
	if err != nil {
		return nil, fmt.Errorf("bridge %s: %w", n.Link, err)
	}
	return tap, nil
}

// attachTap opens an existing tap device.
func attachTap(h *netlink.Handle, name string) (*os.File, error) {
	link, err := h.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		// TUNSETIFF would make one, for root.
		return nil, fmt.Errorf("no such device; make it with: ip tuntap add %s mode tap user $USER", name)
	}
	if err != nil {
		return nil, err
	}
	tuntap, ok := link.(*netlink.Tuntap)
	switch {
	case !ok:
		return nil, errors.New("is no tap device")
	case tuntap.Mode != netlink.TUNTAP_MODE_TAP:
		return nil, errors.New("is a tun device: it carries no Ethernet frames")
	case tuntap.Queues > 0: // one with several queues would give us a share of the frames
		return nil, errBusy
	}
	if err := checkUp(link); err != nil {
		return nil, err
	}
	tap, _, err := tunSetIff(name, uint16(tuntap.Flags&netlink.TUNTAP_MULTI_QUEUE))
	switch {
	case errors.Is(err, unix.EBUSY):
		return nil, errBusy
	case errors.Is(err, unix.EPERM):
		return nil, fmt.Errorf("%w; make it yours: ip tuntap del %s mode tap; ip tuntap add %[2]s mode tap user $USER", err, name)
	}
	return tap, err
}

var errBusy = errors.New("in use by another program")

// checkUp refuses a device on which no frame would ever move.
func checkUp(link netlink.Link) error {
	if a := link.Attrs(); a.Flags&net.FlagUp == 0 {
		return fmt.Errorf("is down; bring it up with: ip link set %s up", a.Name)
	}
	return nil
}

// bridgeTap makes a tap device on a bridge. It goes with the last descriptor of it. The error is fs.ErrPermission for a
// process that may not make devices.
func bridgeTap(h *netlink.Handle, bridge string) (*os.File, error) {
	link, err := h.LinkByName(bridge)
	switch {
	case errors.As(err, new(netlink.LinkNotFoundError)):
		return nil, fmt.Errorf("no such device; make it with: ip link add %s type bridge", bridge)
	case err != nil:
		return nil, err
	case link.Type() != "bridge":
		return nil, errors.New("is no bridge")
	}
	if err := checkUp(link); err != nil {
		return nil, err
	}
	tap, name, err := tunSetIff("rambox%d", 0)
	if err != nil {
		return nil, err
	}
	if err := enslave(h, name, link); err != nil {
		tap.Close()
		return nil, fmt.Errorf("add tap device %s: %w", name, err)
	}
	return tap, nil
}

// enslave puts a tap device on a bridge and brings it up. Without an address of its own a bridge takes the lowest of its
// ports, and its MTU is the least of theirs: so that a machine does not change them, its device gets a high address and the
// bridge's MTU (as in qemu-bridge-helper.c).
func enslave(h *netlink.Handle, name string, bridge netlink.Link) error {
	tap, err := h.LinkByName(name)
	if err != nil {
		return err
	}
	mac := append(net.HardwareAddr{0xfe}, tap.Attrs().HardwareAddr[1:]...)
	if err := h.LinkSetHardwareAddr(tap, mac); err != nil {
		return fmt.Errorf("set address %s: %w", mac, err)
	}
	mtu := bridge.Attrs().MTU
	if err := h.LinkSetMTU(tap, mtu); err != nil {
		return fmt.Errorf("set MTU %d: %w", mtu, err)
	}
	if err := h.LinkSetMaster(tap, bridge); err != nil {
		return fmt.Errorf("add to bridge: %w", err)
	}
	if err := h.LinkSetUp(tap); err != nil {
		return fmt.Errorf("bring up: %w", err)
	}
	return nil
}

// tunSetIff attaches to the tap device of that name, or makes one, and returns its name (Documentation/networking/tuntap.rst).
// Frames have virtio-net headers, so that the guest may leave checksums and segmentation to the host.
func tunSetIff(name string, flags uint16) (*os.File, string, error) {
	const path = "/dev/net/tun"
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("no %s; load the kernel's driver with: modprobe tun", path)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, "", fmt.Errorf("open %s: %w; udev leaves it open to all: chmod 666 %[1]s", path, err)
	}
	if err != nil {
		return nil, "", fmt.Errorf("open %s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR | flags)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		f.Close()
		return nil, "", err
	}
	return f, ifr.Name(), nil
}

// checkHelper reports what keeps QEMU's helper from making a device for us. Which bridges it serves is its own matter.
func (m Machine) checkHelper() error {
	qemu, err := m.qemuPath()
	if err != nil {
		return err
	}
	prefix := filepath.Dir(filepath.Dir(qemu))
	for _, dir := range [...]string{"lib/qemu", "libexec", "lib"} {
		helper := filepath.Join(prefix, dir, "qemu-bridge-helper")
		info, err := os.Stat(helper)
		if err != nil {
			continue
		}
		if _, err := unix.Lgetxattr(helper, "security.capability", nil); err != nil && info.Mode()&os.ModeSetuid == 0 {
			return fmt.Errorf("making a tap device on it takes root, or QEMU's helper, which is not set up: "+
				"chmod u+s %s; echo 'allow %s' >> /etc/qemu/bridge.conf", helper, m.Net.Link)
		}
		return nil
	}
	return errors.New("making a tap device on it takes root, or QEMU's helper, and there is no qemu-bridge-helper here")
}
