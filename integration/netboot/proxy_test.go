//go:build linux

package netboot_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"rambox/internal/netboot"
	"rambox/internal/vmtest"
)

// firmware is a PXE client made by hand: socket is its port 68 on c0.
type firmware struct {
	t      *testing.T
	socket net.PacketConn
}

func (l *lab) firmware(t *testing.T) *firmware {
	t.Helper()
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = errors.Join(unix.BindToDevice(int(fd), "c0"), unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1))
		})
		return errors.Join(err, failed)
	}}
	f := &firmware{t: t}
	err := l.clients.Inside(func() (err error) {
		f.socket, err = config.ListenPacket(context.Background(), "udp4", ":68")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.socket.Close() })
	return f
}

// answers are what servers say: where to boot from, and which address to take.
type answers struct{ boot, address *dhcpv4.DHCPv4 }

// ask sends a message until it has an answer that says what to boot, and if so
// wanted one with an address.
func (f *firmware) ask(address bool, to string, kind dhcpv4.MessageType, more ...dhcpv4.Modifier) answers {
	f.t.Helper()
	m, err := dhcpv4.New(append([]dhcpv4.Modifier{
		dhcpv4.WithHwAddr(net.HardwareAddr{0x52, 0x54, 0, 0, 0, 0}), dhcpv4.WithMessageType(kind), dhcpv4.WithBroadcast(true),
		dhcpv4.WithOption(dhcpv4.OptClassIdentifier("PXEClient:Arch:00009:UNDI:003016")),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClientSystemArchitectureType, []byte{0, 9})),
		dhcpv4.WithOption(dhcpv4.OptGeneric(dhcpv4.OptionClientMachineIdentifier, make([]byte, 17))),
		dhcpv4.WithRequestedOptions(dhcpv4.OptionSubnetMask, dhcpv4.OptionBootfileName, dhcpv4.OptionTFTPServerName, dhcpv4.OptionVendorSpecificInformation),
	}, more...)...)
	if err != nil {
		f.t.Fatal(err)
	}
	addr, err := net.ResolveUDPAddr("udp4", to)
	if err != nil {
		f.t.Fatal(err)
	}
	var got answers
	buf := make([]byte, 2048)
	// Servers that have just been started are asked again, as firmware does.
	for range 20 {
		if _, err := f.socket.WriteTo(m.ToBytes(), addr); err != nil {
			f.t.Fatal(err)
		}
		f.socket.SetReadDeadline(time.Now().Add(2 * time.Second))
		for got.boot == nil || address && got.address == nil {
			n, _, err := f.socket.ReadFrom(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				f.t.Fatal(err)
			}
			a, err := dhcpv4.FromBytes(buf[:n])
			switch {
			case err != nil || a.TransactionID != m.TransactionID:
			case a.YourIPAddr.IsUnspecified():
				got.boot = a
			default:
				got.address = a
			}
		}
		if got.boot != nil && (!address || got.address != nil) {
			return got
		}
	}
	f.t.Fatalf("%s to %s: not all answers: %+v", kind, to, got)
	return answers{}
}

// TestProxy serves as a proxy beside dnsmasq and ISC dhcpd, on another host and
// on the same one: a PXE client gets its address there and its boot file here,
// with the offer and from the boot server's port.
func TestProxy(t *testing.T) {
	dhcpd := func(l *lab, n *vmtest.Namespace, link string) {
		conf := l.write("dhcpd.conf", "authoritative;\nsubnet 10.9.0.0 netmask 255.255.0.0 { range 10.9.3.7; }\n")
		n.Start("dhcpd", "-4", "-f", "-d", "--no-pid", "-user", "root", "-cf", conf, "-lf", l.write("leases", ""), link)
	}
	dnsmasq := func(l *lab, n *vmtest.Namespace, link string) {
		l.dnsmasq(n, link, "--dhcp-range=10.9.3.7,10.9.3.7,255.255.0.0,1h", "--dhcp-authoritative")
	}
	for _, test := range []struct {
		name  string
		start func(l *lab, n *vmtest.Namespace, link string)
		here  bool // on the proxy's host, with an address of its own
	}{
		{"dnsmasq", dnsmasq, false},
		{"dhcpd", dhcpd, false},
		{"dnsmasq on the same host", dnsmasq, true},
		{"dhcpd on the same host", dhcpd, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := newLab(t, 1)
			server, proxy := "10.9.0.3", "10.9.0.1"
			c := netboot.DHCPConfig{Proxy: true, Boot: netboot.BootConfig{
				Programs: map[netboot.Arch]string{netboot.ArchEFI64: "ipxe.efi"}, Script: "http://${server}/boot.ipxe?mac=${mac}",
			}}
			if test.here {
				server = proxy
				test.start(l, l.server, "s0")
			} else {
				test.start(l, l.other, "o0")
			}
			r := l.runServer(t, c)
			f := l.firmware(t)
			offers := f.ask(true, "255.255.255.255:67", dhcpv4.MessageTypeDiscover)
			checkProxy(t, offers.boot, "offer")
			if a := offers.address; a.YourIPAddr.String() != "10.9.3.7" || a.ServerIdentifier().String() != server {
				t.Fatalf("no address from the server: %v", a)
			}
			if e := r.wait(netboot.EventBoot); e.Text != "ipxe.efi" {
				t.Errorf("event %+v", e)
			}

			// The client takes the address, and asks the boot server.
			l.clients.IP("addr", "add", "10.9.3.7/16", "dev", "c0")
			ack := f.ask(false, proxy+":4011", dhcpv4.MessageTypeRequest, dhcpv4.WithClientIP(net.IPv4(10, 9, 3, 7))).boot
			checkProxy(t, ack, "boot server")

			// iPXE, which the boot program is, gets its script.
			script := f.ask(false, proxy+":4011", dhcpv4.MessageTypeRequest, dhcpv4.WithClientIP(net.IPv4(10, 9, 3, 7)), dhcpv4.WithUserClass("iPXE", false)).boot
			if script.BootFileName != "http://10.9.0.1/boot.ipxe?mac=52:54:00:00:00:00" {
				t.Errorf("iPXE is told to load %q", script.BootFileName)
			}
		})
	}
}

// checkProxy looks at what an answer tells to boot.
func checkProxy(t *testing.T, m *dhcpv4.DHCPv4, what string) {
	t.Helper()
	if m == nil {
		t.Fatalf("%s: no answer", what)
	}
	got := fmt.Sprintf("%s %s %s %s %x", m.YourIPAddr, m.ServerIPAddr, m.BootFileName, m.ClassIdentifier(), m.Options[43])
	if want := "0.0.0.0 10.9.0.1 ipxe.efi PXEClient 060108ff"; strings.TrimSpace(got) != want {
		t.Errorf("%s: %s, want %s", what, got, want)
	}
}
