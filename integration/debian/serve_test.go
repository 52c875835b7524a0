//go:build linux

package debian

import (
	"encoding/binary"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"rambox/internal/vmtest"
)

const serveConfig = `listen = "10.9.0.1"
kernel = "/srv/boot/kernel"
[[subnet]]
network = "10.9.0.0/16"
pool = "10.9.1.0-10.9.1.9"
`

// serveFacts is a program of the root that tells how rambox-serve.service runs.
const serveFacts = `#!/bin/sh
fact() { name=$1; shift; echo "fact $name: $*"; }
status=/proc/$(systemctl show --property=MainPID --value rambox-serve)/status
fact active $(systemctl is-active rambox-serve)
for key in Uid CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp; do fact $key $(sed -n "s/^$key:[^0-9a-f]*//p" $status); done
fact machine $(/usr/local/bin/rambox serve status | grep 02:00:00:00:00:07)
[ -z "$1" ] || fact security $(systemd-analyze security --no-pager rambox-serve | tail -n 1)
echo "end of facts"
`

// TestServeUnit has a Debian run contrib/rambox-serve.service: without root, with
// the capabilities that it names, through a reload and a restart, after which a
// machine still has its lease.
func TestServeUnit(t *testing.T) {
	t.Parallel()
	root := newRoot(t, systemd)
	vmtest.Command(t, "install", "-m", "755", vmtest.Rambox(t), filepath.Join(root, "usr/local/bin/rambox"))
	vmtest.Command(t, "install", "-m", "644", filepath.Join(vmtest.Root(t), "contrib/rambox-serve.service"), filepath.Join(root, "etc/systemd/system"))
	vmtest.WriteFile(t, root, "etc/rambox/serve.toml", 0o644, serveConfig)
	vmtest.WriteFile(t, root, "srv/boot/kernel", 0o644, "a kernel")
	vmtest.WriteFile(t, root, "usr/local/sbin/serve-facts", 0o755, serveFacts)
	d := disk(t, fileSystem(t, root, "ext4"), "")
	m := newMachine(t, vmtest.CloudKernel(t), d, "root=UUID="+fsUUID+" rw ip=10.9.0.1:::255.255.0.0:::none")
	wire := vmtest.NewWire(t)
	m.Limit = 2 * limit
	m.Extra = []string{"-netdev", wire.Netdev("n0"), "-device", "virtio-net-pci,netdev=n0"}
	// All devices are there by then.
	g := vmtest.Start(t, line(m, rescue+" systemd.mask=systemd-udevd.service systemd.mask=systemd-udev-trigger.service"))
	machine := newDHCPClient(t, wire)
	maintenance(g)
	g.Send("systemctl start rambox-serve; echo started: $?\n")
	g.Expect("started: 0")
	g.Send("journalctl -f -n 100 -o cat -u rambox-serve &\n")
	g.Expect(`"msg":"serving"`)
	offer := machine.ask(dhcpv4.MessageTypeDiscover)
	ack := machine.ask(dhcpv4.MessageTypeRequest, dhcpv4.WithOption(dhcpv4.OptServerIdentifier(offer.ServerIdentifier())), dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(offer.YourIPAddr)))
	want := map[string]string{
		"active": "active", "CapPrm": "0000000000000400", "CapEff": "0000000000000400", "CapAmb": "0000000000000000", "CapBnd": "0000000000002400",
		"NoNewPrivs": "1", "Seccomp": "2",
	}
	look := func(args string) map[string]string {
		t.Helper()
		got := serveFactsOf(t, g, args)
		for name, value := range want {
			if got[name] != value {
				t.Errorf("%s is %q, want %q", name, got[name], value)
			}
		}
		// DynamicUser= has its users from here on (systemd.exec(5)).
		if uid := strings.Fields(got["Uid"]); len(uid) != 4 || uid[0] < "61184" || len(uid[0]) != 5 {
			t.Errorf("it runs as %q, want a user of systemd's own", got["Uid"])
		}
		if !strings.HasPrefix(got["machine"], "leased ") || !strings.Contains(got["machine"], ack.YourIPAddr.String()) {
			t.Errorf("the machine is %q, want it to have %s", got["machine"], ack.YourIPAddr)
		}
		return got
	}
	if score := look("security")["security"]; !strings.Contains(score, " OK") {
		t.Errorf("systemd-analyze: %s, want it to be OK", score)
	}
	g.Send("systemctl reload rambox-serve\n")
	g.Expect(`"msg":"new configuration"`)
	g.Send("systemctl restart rambox-serve; echo restarted: $?\n")
	g.Expect("restarted: 0")
	look("")
	// A server that is not the authority knows this lease, or says nothing.
	again := machine.ask(dhcpv4.MessageTypeRequest, dhcpv4.WithOption(dhcpv4.OptRequestedIPAddress(ack.YourIPAddr)))
	if again.MessageType() != dhcpv4.MessageTypeAck || !again.YourIPAddr.Equal(ack.YourIPAddr) {
		t.Errorf("after the restart: %s of %s, want an ACK of %s", again.MessageType(), again.YourIPAddr, ack.YourIPAddr)
	}
	end(t, g)
}

// serveFactsOf runs serveFacts in a shell on the console.
func serveFactsOf(t *testing.T, g *vmtest.Guest, args string) map[string]string {
	t.Helper()
	g.Send("/usr/local/sbin/serve-facts " + args + "\n")
	out := g.Expect("end of facts")
	got := map[string]string{}
	for line := range strings.Lines(out) {
		if _, fact, ok := strings.Cut(line, "fact "); ok {
			name, value, _ := strings.Cut(fact, ":")
			got[name] = strings.TrimSpace(value)
		}
	}
	t.Log(got)
	return got
}

// dhcpClient is a machine at the other end of a wire.
type dhcpClient struct {
	t       *testing.T
	wire    *vmtest.Wire
	replies chan *dhcpv4.DHCPv4
}

func newDHCPClient(t *testing.T, wire *vmtest.Wire) *dhcpClient {
	c := &dhcpClient{t, wire, make(chan *dhcpv4.DHCPv4, 100)}
	go func() {
		for {
			frame, err := wire.Read()
			if err != nil {
				return
			}
			const udp = 14 + 20
			if len(frame) < udp+8 || string(frame[12:15]) != "\x08\x00\x45" || frame[14+9] != 17 || binary.BigEndian.Uint16(frame[udp+2:]) != 68 {
				continue
			}
			if m, err := dhcpv4.FromBytes(frame[udp+8:]); err == nil {
				c.replies <- m
			}
		}
	}()
	return c
}

// ask sends a message until there is an answer, as clients do.
func (c *dhcpClient) ask(kind dhcpv4.MessageType, more ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	c.t.Helper()
	hw := net.HardwareAddr{2, 0, 0, 0, 0, 7}
	m, err := dhcpv4.New(append([]dhcpv4.Modifier{dhcpv4.WithHwAddr(hw), dhcpv4.WithMessageType(kind)}, more...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	payload := m.ToBytes()
	frame := append([]byte("\xff\xff\xff\xff\xff\xff"), hw...)
	frame = append(frame, 8, 0, 0x45, 0)
	frame = binary.BigEndian.AppendUint16(frame, uint16(20+8+len(payload)))
	frame = append(frame, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255)
	sum := uint32(0)
	for i := 14; i < len(frame); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(frame[i:]))
	}
	binary.BigEndian.PutUint16(frame[14+10:], ^uint16(sum+sum>>16))
	frame = append(frame, 0, 68, 0, 67)
	frame = binary.BigEndian.AppendUint16(frame, uint16(8+len(payload)))
	frame = append(append(frame, 0, 0), payload...) // without a checksum (RFC 768)
	for range 10 {
		if err := c.wire.Write(frame); err != nil {
			c.t.Fatal(err)
		}
		wait := time.After(3 * time.Second)
	answers:
		for {
			select {
			case reply := <-c.replies:
				if reply.TransactionID == m.TransactionID {
					return reply
				}
			case <-wait:
				break answers
			}
		}
	}
	c.t.Fatalf("%s: no answer", kind)
	return nil
}
