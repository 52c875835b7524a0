//go:build linux

package netcfg_test

import (
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"rambox/pkg/netcfg"
)

// TestIPv6Hostile answers with thousands of mutated replies, and with empty
// datagrams, to whatever the client last asked. The client must go on: hear
// commands, write nothing into its files but what belongs there, and end when
// it is told to.
func TestIPv6Hostile(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.cable6("eth0", mac, "s0", server6)
	server := l.dhcp6Socket()
	n := l.run("ip=dhcp6")

	rng := rand.New(rand.NewPCG(3, 4))
	buf := make([]byte, 2048)
	var asked []byte
	var client net.Addr
	configured := 0
	for sent := 0; sent < replies; {
		if sent%1000 == 0 {
			select {
			case n.commands <- netcfg.RenewNow:
			case <-time.After(patience):
				t.Fatal("Run hears no command")
			}
		}
		if sent%1000 == 500 {
			// Peace for as long as the kernel checks an address.
			configured += n.configured(1200 * time.Millisecond)
		}
		wait := time.Millisecond
		if asked == nil {
			wait = patience
		}
		server.SetReadDeadline(time.Now().Add(wait))
		if size, from, err := server.ReadFrom(buf); err == nil {
			asked, client = slices.Clone(buf[:size]), from
		} else if asked == nil {
			t.Fatal("the client asks for nothing")
		}
		for range 50 {
			if _, err := server.WriteTo(reply6(t, rng, asked), client); err != nil {
				t.Fatal(err)
			}
			sent++
		}
	}

	if configured == 0 {
		t.Error("not one reply got through: the test tests nothing")
	}
	if b, err := os.ReadFile(filepath.Join(n.dir, "run/net-eth0.conf")); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, "="); !ok || strings.ContainsAny(name, " '$`") || !strings.HasSuffix(value, "'\n") {
				t.Errorf("lease file has %q", line)
			}
		}
	}
	select {
	case n.commands <- netcfg.ReleaseAll:
	case <-time.After(patience):
		t.Error("Run hears no command")
	}
	if err := n.stop(); err != nil {
		t.Error(err)
	}
	t.Logf("%d replies, configured %d times", replies, configured)
}

// configured counts how often a link is configured meanwhile.
func (n *node) configured(meanwhile time.Duration) (times int) {
	n.t.Helper()
	for end := time.After(meanwhile); ; {
		select {
		case e := <-n.events:
			if e.Kind != netcfg.Configured {
				continue
			}
			times++
			if !e.Config.Addr.Addr().IsGlobalUnicast() {
				n.t.Errorf("configured with %s", e.Config.Addr)
			}
		case <-end:
			return times
		}
	}
}

// dhcp6Socket opens the server's port on s0.
func (l *lab) dhcp6Socket() net.PacketConn {
	l.t.Helper()
	var conn *net.UDPConn
	err := l.server.Inside(func() error {
		s0, err := net.InterfaceByName("s0")
		if err != nil {
			return err
		}
		conn, err = net.ListenMulticastUDP("udp6", s0, &net.UDPAddr{IP: net.ParseIP("ff02::1:2"), Port: 547})
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { conn.Close() })
	return conn
}

// reply6 is an answer to a client's message, most often spoilt.
func reply6(t *testing.T, rng *rand.Rand, asked []byte) []byte {
	t.Helper()
	m, err := dhcpv6.MessageFromBytes(asked)
	if err != nil {
		t.Fatal(err)
	}
	kind := dhcpv6.MessageTypeReply
	if m.MessageType == dhcpv6.MessageTypeSolicit {
		kind = dhcpv6.MessageTypeAdvertise
	}
	if rng.IntN(20) == 0 {
		kind = dhcpv6.MessageType(rng.IntN(11))
	}
	answer := dhcpv6.Message{MessageType: kind, TransactionID: m.TransactionID}
	answer.AddOption(dhcpv6.OptClientID(m.Options.ClientID()))
	answer.AddOption(dhcpv6.OptServerID(&dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}}))
	ia := &dhcpv6.OptIANA{IaId: [4]byte{0, 0, 0, 1}}
	ia.Options.Add(&dhcpv6.OptIAAddress{
		IPv6Addr:          net.ParseIP("fd00:1::" + strconv.Itoa(10+rng.IntN(3))),
		PreferredLifetime: 20 * time.Second, ValidLifetime: 30 * time.Second,
	})
	if rng.IntN(30) == 0 {
		ia.Options.Add(&dhcpv6.OptStatusCode{StatusCode: iana.StatusCode(rng.IntN(8)), StatusMessage: "a'\n$b"})
	}
	answer.AddOption(ia)
	codes := [...]dhcpv6.OptionCode{3, 5, 7, 13, 14, 23, 24, 31, 32, 39, 56, 82, 83}
	for range rng.IntN(4) {
		v := make([]byte, rng.IntN(40))
		for i := range v {
			v[i] = [...]byte{byte(rng.IntN(256)), 0, 255, '\'', '\n', '$', 'a', 1}[rng.IntN(8)]
		}
		answer.AddOption(&dhcpv6.OptionGeneric{OptionCode: codes[rng.IntN(len(codes))], OptionData: v})
	}
	b := answer.ToBytes()
	for range rng.IntN(3) {
		b[rng.IntN(len(b))] = byte(rng.IntN(256))
	}
	if rng.IntN(10) == 0 {
		b = b[:rng.IntN(len(b))]
	}
	return b
}
