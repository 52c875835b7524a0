package netboot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// tftpPeer is a client by the letter of RFC 1350 and 7440: it acknowledges the
// last block of a window, and what it has last got in order when a block is
// missing or the last one comes again.
type tftpPeer struct {
	block, window int
	eager         bool // acknowledges older ones that come again, too
	got           []byte
	next          int64 // block
	inWindow      int
	last          bool
}

func (p *tftpPeer) ack() []byte {
	return binary.BigEndian.AppendUint16([]byte{0, tftpAck}, uint16(p.next-1))
}

// receive takes a packet, and returns the answer to it, or nil.
func (p *tftpPeer) receive(packet []byte) []byte {
	switch packet[1] {
	case tftpOack:
		p.next = 1
		return p.ack()
	case tftpData:
	default:
		return nil
	}
	p.next = max(p.next, 1)
	if n := binary.BigEndian.Uint16(packet[2:]); n != uint16(p.next) {
		p.inWindow = 0
		if p.eager || int16(n-uint16(p.next)) >= -1 {
			return p.ack()
		}
		return nil
	}
	if !p.last {
		p.got = append(p.got, packet[tftpHeader:]...)
		p.last = len(packet)-tftpHeader < p.block
		p.next++
	}
	if p.inWindow++; p.inWindow == p.window || p.last {
		p.inWindow = 0
		return p.ack()
	}
	return nil
}

// link is a network on which packets are lost, doubled and late, in an order
// that is the same at each run.
type link struct {
	random           *rand.Rand
	lost, doubled    float64
	latency, wobble  time.Duration
	now              time.Time
	toPeer, toServer []onLink
	copies           func() int // how often a packet arrives; nil: as random says
}

type onLink struct {
	at     time.Time
	packet []byte
}

func (l *link) put(queue *[]onLink, packet []byte) {
	times := 1
	if l.copies != nil {
		times = l.copies()
	}
	if l.random.Float64() < l.lost {
		return
	}
	if l.random.Float64() < l.doubled {
		times = 2
	}
	for range times {
		late := l.latency
		if l.wobble > 0 {
			late += time.Duration(l.random.Int64N(int64(l.wobble)))
		}
		*queue = append(*queue, onLink{l.now.Add(late), bytes.Clone(packet)})
	}
}

// first finds the packet that arrives first, if that is before a time: -1 is none.
func first(queue []onLink, before time.Time) int {
	best := -1
	for i, p := range queue {
		if p.at.Before(before) && (best < 0 || p.at.Before(queue[best].at)) {
			best = i
		}
	}
	return best
}

// take takes a packet off a queue.
func (l *link) take(queue *[]onLink, i int) []byte {
	p := (*queue)[i]
	*queue = slices.Delete(*queue, i, i+1)
	l.now = p.at
	return p.packet
}

// run moves packets until the transfer is over.
func (l *link) run(t *testing.T, transfer *tftpTransfer, peer *tftpPeer) {
	t.Helper()
	for range 10_000_000 {
		for p := transfer.next(l.now); p != nil; p = transfer.next(l.now) {
			l.put(&l.toPeer, p)
		}
		if transfer.over {
			return
		}
		toPeer, toServer := first(l.toPeer, transfer.deadline), first(l.toServer, transfer.deadline)
		switch {
		case toPeer >= 0 && (toServer < 0 || l.toPeer[toPeer].at.Before(l.toServer[toServer].at)):
			if answer := peer.receive(l.take(&l.toPeer, toPeer)); answer != nil {
				l.put(&l.toServer, answer)
			}
		case toServer >= 0:
			transfer.receive(l.take(&l.toServer, toServer), l.now)
		default:
			l.now = transfer.deadline
			transfer.expire(l.now)
		}
	}
	t.Fatal("the transfer does not end")
}

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func TestTFTPTransfer(t *testing.T) {
	for _, tc := range []struct {
		name          string
		size          int
		request       tftpRequest
		lost, doubled float64
		wobble        time.Duration
	}{
		{name: "nothing"},
		{name: "a byte", size: 1},
		{name: "a block", size: 512},
		{name: "two and a half", size: 1280},
		{name: "options", size: 100_000, request: tftpRequest{block: 1428, size: true}},
		{name: "the block number wraps around", size: 70_000 * 8, request: tftpRequest{block: 8}},
		{name: "twice, in windows", size: 140_000*8 + 3, request: tftpRequest{block: 8, window: 64}},
		{name: "the last window is full", size: 8*64 - 1, request: tftpRequest{block: 8, window: 8}},
		{name: "the last block is empty", size: 8 * 64, request: tftpRequest{block: 8, window: 8}},
		{name: "lost", size: 50_000, lost: 0.1},
		{name: "lost in windows", size: 200_000, request: tftpRequest{block: 512, window: 16}, lost: 0.02},
		{name: "doubled", size: 50_000, doubled: 0.5},
		{name: "doubled in windows", size: 200_000, request: tftpRequest{block: 512, window: 8}, doubled: 0.5},
		{name: "everything", size: 200_000, request: tftpRequest{block: 512, window: 4}, lost: 0.05, doubled: 0.05, wobble: 20 * time.Millisecond},
		{name: "everything, and the number wraps around", size: 66_000 * 8, request: tftpRequest{block: 8, window: 8}, lost: 0.005, doubled: 0.01, wobble: 3 * time.Millisecond},
	} {
		for _, eager := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, eager %v", tc.name, eager), func(t *testing.T) {
				want := noise(tc.size)
				transfer := newTFTPTransfer(tc.request, bytes.NewReader(want), int64(tc.size), maxBlock)
				peer := &tftpPeer{block: int(transfer.block), window: int(transfer.window), eager: eager}
				l := &link{random: rand.New(rand.NewPCG(3, 4)), lost: tc.lost, doubled: tc.doubled, latency: time.Millisecond, wobble: tc.wobble, now: time.Unix(0, 0)}
				l.run(t, transfer, peer)
				if transfer.err != nil && !peer.last { // the last ACK may be lost
					t.Fatalf("after %d blocks: %v", transfer.acked, transfer.err)
				}
				if !bytes.Equal(peer.got, want) {
					t.Errorf("got %d bytes, which are not the %d that were sent", len(peer.got), len(want))
				}
				if tc.lost == 0 && tc.doubled == 0 && transfer.resent > 0 {
					t.Errorf("%d packets were sent again on a perfect link", transfer.resent)
				}
			})
		}
	}
}

// TestTFTPApprentice: one packet that comes twice must not double all that follow
// (RFC 1123, 4.2.3.1), whatever the client answers to old blocks.
func TestTFTPApprentice(t *testing.T) {
	for _, window := range []int{1, 4} {
		content := noise(512 * 1000)
		transfer := newTFTPTransfer(tftpRequest{block: 512, window: window}, bytes.NewReader(content), int64(len(content)), maxBlock)
		peer := &tftpPeer{block: 512, window: window, eager: true}
		l := &link{random: rand.New(rand.NewPCG(3, 4)), latency: 150 * time.Millisecond, now: time.Unix(0, 0)}
		doubled := false
		l.copies = func() int {
			if transfer.sent == 100 && !doubled {
				doubled = true
				return 4
			}
			return 1
		}
		l.run(t, transfer, peer)
		if !bytes.Equal(peer.got, content) || transfer.resent > 3*window {
			t.Errorf("window %d: %d blocks sent again for one that came twice, want at most %d", window, transfer.resent, 3*window)
		}
	}
}

// TestTFTPBackOff: a client that says nothing is asked more and more rarely, and
// less often if it never has said anything.
func TestTFTPBackOff(t *testing.T) {
	for _, tc := range []struct {
		name    string
		request tftpRequest
		answers [][]byte
		want    string
	}{
		{"silent from the start", tftpRequest{}, nil, "0s 1s 3s"},
		{"silent from the start, options", tftpRequest{size: true}, nil, "0s 1s 3s"},
		{"silent after a block", tftpRequest{}, [][]byte{{0, tftpAck, 0, 1}}, "0s 0s 200.001ms 600.003ms 1.400007s 3.000015s 6.200031s"},
		{"its own time", tftpRequest{timeout: 10 * time.Second}, [][]byte{{0, tftpAck, 0, 0}, {0, tftpAck, 0, 1}}, "0s 0s 0s 10s 20s 30s 40s 50s"},
		{"too long a time", tftpRequest{timeout: 255 * time.Second}, nil, "0s 1s 3s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			start := time.Unix(0, 0)
			now := start
			transfer := newTFTPTransfer(tc.request, strings.NewReader(strings.Repeat("x", 5000)), 5000, maxBlock)
			var sent []string
			for !transfer.over {
				for p := transfer.next(now); p != nil; p = transfer.next(now) {
					sent = append(sent, now.Sub(start).String())
				}
				if len(tc.answers) > 0 {
					transfer.receive(tc.answers[0], now)
					tc.answers = tc.answers[1:]
					continue
				}
				transfer.expire(transfer.deadline.Add(-1)) // not yet
				now = transfer.deadline
				transfer.expire(now)
			}
			if got := strings.Join(sent, " "); got != tc.want || !errors.Is(transfer.err, errTFTPSilent) {
				t.Errorf("sent at %s, then %v, want %s", got, transfer.err, tc.want)
			}
		})
	}
}

func TestTFTPClientError(t *testing.T) {
	transfer := newTFTPTransfer(tftpRequest{size: true}, strings.NewReader("x"), 1, maxBlock)
	if got, want := string(transfer.next(time.Unix(0, 0))), "\x00\x06tsize\x001\x00"; got != want {
		t.Errorf("OACK %q, want %q", got, want)
	}
	transfer.receive([]byte("\x00\x05\x00\x08too large\x00"), time.Unix(0, 0))
	if !transfer.over || transfer.err == nil || transfer.err.Error() != "the client says: too large" || transfer.next(time.Unix(0, 0)) != nil {
		t.Errorf("over %v, error %v", transfer.over, transfer.err)
	}
}

// TestTFTPShrunk: a file that has become shorter is an error, and never the end
// of a transfer.
func TestTFTPShrunk(t *testing.T) {
	transfer := newTFTPTransfer(tftpRequest{}, strings.NewReader("short"), 1000, maxBlock)
	p := transfer.next(time.Unix(0, 0))
	if want := "\x00\x05\x00\x00cannot read the file\x00"; string(p) != want || !errors.Is(transfer.err, io.ErrUnexpectedEOF) {
		t.Errorf("sent %q, error %v", p, transfer.err)
	}
}

// TestTFTPEmptySize: curl takes a size of 0 for an error.
func TestTFTPEmptySize(t *testing.T) {
	transfer := newTFTPTransfer(tftpRequest{block: 512, size: true}, strings.NewReader(""), 0, maxBlock)
	if got, want := string(transfer.next(time.Unix(0, 0))), "\x00\x06blksize\x00512\x00"; got != want {
		t.Errorf("OACK %q, want %q", got, want)
	}
}

func TestTFTPLinkTakesLess(t *testing.T) {
	transfer := newTFTPTransfer(tftpRequest{block: 9000, window: 2}, strings.NewReader("x"), 1, 1468)
	if got, want := string(transfer.next(time.Unix(0, 0))), "\x00\x06blksize\x001468\x00windowsize\x002\x00"; got != want {
		t.Errorf("OACK %q, want %q", got, want)
	}
}

func TestNetascii(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"", ""},
		{"plain", "plain"},
		{"a\nb\rc\r\n", "a\r\nb\r\x00c\r\x00\r\n"},
		{strings.Repeat("\n", 50), strings.Repeat("\r\n", 50)},
		{strings.Repeat("abcdefg\n", 500), strings.Repeat("abcdefg\r\n", 500)},
	} {
		for size := 1; size < 20; size++ {
			var got []byte
			b := make([]byte, size)
			for at, n := (blockStart{}), size; n == size; {
				var err error
				n, at, err = at.block(b, strings.NewReader(tc.in), int64(len(tc.in)), true)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, b[:n]...)
			}
			if string(got) != tc.want {
				t.Errorf("%q in blocks of %d: %q, want %q", tc.in, size, got, tc.want)
			}
		}
	}
}

// FuzzTFTPTransfer gives a transfer any packets at any times.
func FuzzTFTPTransfer(f *testing.F) {
	f.Add([]byte("\x00\x01f\x00octet\x00blksize\x0016\x00windowsize\x004\x00"), []byte("\x00\x00\x04\x00\x00\x03\x04\x00\x04\x01\x04\x00\x02"))
	f.Add([]byte("\x00\x01f\x00netascii\x00"), []byte("\x00\x04\x00\x01\x01\x05\x00\x00"))
	f.Fuzz(func(t *testing.T, request, script []byte) {
		r, ok, _ := parseRequest(request)
		if !ok {
			return
		}
		const size = 3000
		transfer := newTFTPTransfer(r, bytes.NewReader(noise(size)), size, 1468)
		now := time.Unix(0, 0)
		for step := 0; step < 1000 && !transfer.over; step++ {
			for n := 0; ; n++ {
				p := transfer.next(now)
				if p == nil {
					break
				}
				if n > maxWindow || len(p) > tftpMaxRequest && len(p) > tftpHeader+int(transfer.block) {
					t.Fatalf("%d packets in a row, the last one of %d bytes", n, len(p))
				}
			}
			if transfer.over {
				break
			}
			if transfer.acked > transfer.sent || transfer.sent > transfer.high || transfer.sent > transfer.acked+transfer.window || !transfer.deadline.After(now) {
				t.Fatalf("acked %d, sent %d, high %d, deadline %s at %s", transfer.acked, transfer.sent, transfer.high, transfer.deadline, now)
			}
			if len(script) < 4 || script[0]&1 == 1 {
				script = script[min(1, len(script)):]
				now = transfer.deadline
				transfer.expire(now)
				continue
			}
			now = now.Add(time.Millisecond)
			if now.After(transfer.deadline) {
				transfer.expire(now)
			}
			transfer.receive([]byte{0, script[1], script[2], script[3]}, now)
			script = script[4:]
		}
		if !transfer.over {
			t.Fatal("the transfer does not end")
		}
	})
}
