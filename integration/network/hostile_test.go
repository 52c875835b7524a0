//go:build linux

package network

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"rambox/internal/vmtest"
)

// The storm is so many replies, in rounds of so many. A round is small enough
// for the guest's socket to hold it.
const (
	stormSeed    = 20
	stormReplies = 10000
	stormRound   = 50
	stormBurst   = 10 // replies between two looks at what the guest asks now
)

// sane defines what has to hold in the guest at any time: nothing that came
// from the network was executed, and the files have what belongs there.
const sane = `sane() { cat /run/net-eth0.conf >/conf 2>/dev/null; cat /etc/resolv.conf >/resolv 2>/dev/null; ` +
	`(. /conf) && [ ! -e /pwned ] && ! grep -vE "^[A-Za-z0-9_]+='.*'\$" /conf && ` +
	`! grep -vE "^(nameserver [0-9.]+|search [A-Za-z0-9._ -]+)\$" /resolv && ` +
	`! hostname | grep -vE "^[A-Za-z0-9.()-]*\$"; }; ` +
	// drained: the network's process has read all that has come.
	`drained() { while read -r _ _ _ _ _ _ waiting _; do case $waiting in 0|Rmem) ;; *) return 1;; esac; done </proc/net/packet; }`

// TestHostileServer answers with thousands of spoiled replies to whatever the
// guest asks. Its payload goes on, the network's process does too, and when a
// good server comes the machine gets its lease.
func TestHostileServer(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	l := newLAN(t, lease())
	g := start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, image(t, k)), Append: "printk.devkmsg=on log_buf_len=8M", Extra: l.card(0), Limit: 6 * time.Minute})
	g.wantFirst(lanLease)
	pid := g.run("pidof rambox-net")
	g.run(sane)
	g.run("i=0; while [ ! -e /stop ]; do i=$((i + 1)); echo $i >/count; usleep 20000; done & counter=$!")

	t.Logf("seed %d", stormSeed)
	l.serve(silence)
	s := storm{rng: rand.New(rand.NewPCG(stormSeed, 0)), lan: l, done: map[string]int{}}
	for s.sent < stormReplies {
		s.round(g)
		g.run("await drained")
		if s.sent%(4*stormRound) == 0 {
			g.run("sane")
		}
	}
	received, err := strconv.Atoi(strings.TrimSpace(g.run("cat /sys/class/net/eth0/statistics/rx_packets")))
	if err != nil || received < stormReplies*9/10 {
		t.Errorf("the guest has received %d of %d frames (%v)", received, stormReplies, err)
	}
	taken, _ := g.try("dmesg | grep -c 'rambox: eth0: dhcp'")
	if n, _ := strconv.Atoi(strings.TrimSpace(taken)); n < 100 {
		t.Errorf("only %d replies have changed the guest's lease: the test tests little", n)
	}
	heard := map[string]int{}
	for _, m := range l.messages() {
		heard[m.MessageType().String()]++
	}
	t.Logf("the guest has asked %v, and taken %s leases", heard, strings.TrimSpace(taken))
	t.Logf("spoiled: %v", s.done)

	l.serve(lease())
	g.try("renew_ip")
	g.run(leased)
	g.run("renew_ip >/dev/null && sane")
	g.want("state", lanLease)
	g.want("ls -A1 /run /etc", "/etc:\nresolv.conf\n\n/run:\nnet-eth0.conf\nrambox\n")
	if again := g.run("pidof rambox-net"); again != pid {
		t.Errorf("the network's process was %s and is %s", pid, again)
	}
	if out, status := g.try("dmesg | grep -E 'its process|internal error|BUG:|Oops|segfault'"); status == 0 {
		t.Errorf("the log has\n%s", out)
	}
	count, err := strconv.Atoi(strings.TrimSpace(g.run("touch /stop; wait $counter; cat /count")))
	if err != nil || count < 100 {
		t.Errorf("the payload has counted to %d (%v)", count, err)
	}
	g.end(7)
}

// storm is the hostile server.
type storm struct {
	rng  *rand.Rand
	lan  *lan
	sent int
	done map[string]int // how often each spoiler was used
}

// round lets the guest ask something and answers so often.
func (s *storm) round(g guest) {
	g.t.Helper()
	before := s.lan.next()
	g.run("renew_ip >/dev/null 2>&1 &")
	select {
	case <-before:
	case <-time.After(200 * time.Millisecond):
		// It asks already, or keeps away for a while after refusals.
	}
	for range stormRound / stormBurst {
		heard := s.lan.messages()
		asked, news := heard[len(heard)-1], s.lan.next()
		var frames [][]byte
		for range stormBurst {
			frames = append(frames, s.spoiled(asked))
		}
		s.lan.send(frames...)
		s.sent += len(frames)
		select {
		case <-news:
		case <-time.After(3 * time.Millisecond):
		}
	}
}

// spoiled is a reply with up to three faults in its message, and sometimes one
// in its frame.
func (s *storm) spoiled(asked message) []byte {
	r := newReply(s.rng, asked)
	for range s.rng.IntN(4) {
		f := messageFaults[s.rng.IntN(len(messageFaults))]
		f.spoil(s.rng, r)
		s.done[f.name]++
	}
	frame := r.frame(asked)
	if s.rng.IntN(4) == 0 {
		f := frameFaults[s.rng.IntN(len(frameFaults))]
		frame = f.spoil(s.rng, bytes.Clone(frame))
		s.done[f.name]++
	}
	return frame
}
