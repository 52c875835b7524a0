package netcfg

import (
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// claim says that a machine has the address that a link's client probes for.
type claim struct {
	heard *os.File // the socket of the link
	by    MAC
}

// ask sends an ARP probe on a link, and listens from the first one on.
func (r *runner) ask(p *port, addr netip.Addr) {
	if p.arp == nil {
		f, err := packetSocket(p.link, unix.ETH_P_ARP, nil)
		if err != nil {
			r.opt.Log("listen for ARP on %s: %v", p.link.Name, err)
			return
		}
		p.arp = f
		own := p.link.HW
		r.readers.Go(func() { r.hearClaims(f, own, addr) })
	}
	if _, err := p.arp.Write(arpProbe(p.link.HW, addr)); err != nil {
		r.warn(fmt.Errorf("send ARP on %s: %w", p.link.Name, err))
	}
}

// hearClaims reads a link's ARP until somebody claims the address, or the
// socket is closed.
func (r *runner) hearClaims(f *os.File, own MAC, addr netip.Addr) {
	buf := make([]byte, 128)
	for {
		n, err := f.Read(buf)
		if err != nil {
			return
		}
		if by, claimed := arpClaim(buf[:n], own, addr); claimed {
			select {
			case r.claims <- claim{f, by}:
			case <-r.done:
			}
			return
		}
	}
}

// claimed tells a link's client that its address is taken.
func (r *runner) claimed(c claim) {
	for _, j := range r.jobs {
		for _, p := range j.ports {
			if p.arp == c.heard && p.client != nil {
				p.closeARP()
				r.step(j, p, p.client.claimed(time.Now(), c.by))
				return
			}
		}
	}
}

func (p *port) closeARP() {
	if p.arp != nil {
		p.arp.Close()
		p.arp = nil
	}
}
