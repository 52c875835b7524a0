package netboot

import (
	"encoding/binary"
	"errors"
	"io"
	"time"
)

// Times of a transfer, as RFC 1123, 4.2.3.2, wants them: measured, with back-off.
const (
	tftpFirstRTO = time.Second            // before anything has been measured
	tftpMinRTO   = 200 * time.Millisecond // more than the round trip, at least: firmware is slow now and then
	tftpMaxRTO   = 8 * time.Second
	tftpTries    = 6 // of one window; a first packet, which anybody can ask for in another's name, gets half
	// A client that wants longer ones gets its timeout option ignored.
	maxAskedTimeout = 30 * time.Second
)

var errTFTPSilent = errors.New("the client has fallen silent")

// tftpTransfer is one file on its way to one client. Packets of the client and
// the time go in by receive and expire; next has the packets that come out, to
// be asked until it has no more. It reads no clock, and nothing but the file.
//
// It is safe against the sorcerer's apprentice (RFC 1123, 4.2.3.1): an ACK that
// has come before is answered only where RFC 7440 wants it, in a window of
// several blocks, and never twice in a row.
type tftpTransfer struct {
	file     io.ReaderAt
	size     int64 // bytes
	netascii bool
	block    int64 // bytes
	window   int64 // blocks

	oack    []byte // waits to be acknowledged; nil: it has been, or there is none
	oackOut bool   // and has been sent since the last timeout

	// Blocks count from 1 without an end; the wire has their last 16 bits, so
	// that files of any size go over it.
	acked int64 // the client has this one and all before it
	sent  int64 // the last one sent since the transfer was last taken back
	high  int64 // the last one ever sent
	last  int64 // the last of the file; 0: it has not been read so far
	quiet int64 // an ACK below this one does not lead back

	begins [maxWindow + 1]blockStart // block n begins at begins[n % len]
	buf    []byte

	asked    time.Duration // the timeout option; 0: measured
	rto      time.Duration // of the next packet
	smooth   time.Duration // round trip and its deviation (RFC 6298); 0: not measured
	swing    time.Duration
	timed    int64     // the block whose round trip is being measured; 0: none
	timedAt  time.Time // when it was sent
	deadline time.Time // of the next acknowledgement

	tries   int // since anything new was acknowledged
	resent  int // packets sent again
	over    bool
	fault   *tftpFault // to be told to the client
	err     error      // why it is over; nil: the client has the file
	started bool       // the client has acknowledged something
}

// newTFTPTransfer begins to send a file of size bytes. The link takes blocks of
// at most block bytes.
func newTFTPTransfer(r tftpRequest, file io.ReaderAt, size int64, block int) *tftpTransfer {
	if r.block > block {
		r.block = max(block, minBlock)
	}
	if r.timeout > maxAskedTimeout {
		r.timeout = 0
	}
	t := &tftpTransfer{file: file, size: size, netascii: r.netascii, block: defaultBlock, window: 1, oack: r.oack(size), asked: r.timeout}
	if r.block > 0 {
		t.block = int64(r.block)
	}
	if r.window > 0 {
		t.window = int64(r.window)
	}
	t.buf = make([]byte, tftpHeader+t.block)
	t.rto = t.baseRTO()
	return t
}

// next returns a packet to send now, or nil. It is good until the next call.
func (t *tftpTransfer) next(now time.Time) []byte {
	switch {
	case t.fault != nil:
		p := t.fault.packet()
		t.fault = nil
		return p
	case t.over:
		return nil
	case t.oack != nil:
		if t.oackOut {
			return nil
		}
		t.oackOut = true
		t.deadline = now.Add(t.rto)
		return t.oack
	case t.sent == t.end():
		return nil
	}
	n := t.sent + 1
	at := t.begins[n%int64(len(t.begins))]
	length, following, err := at.block(t.buf[tftpHeader:], t.file, t.size, t.netascii)
	if err != nil {
		t.stop(err)
		t.fault = tftpFaultf(tftpUndefined, "cannot read the file")
		return t.next(now)
	}
	binary.BigEndian.PutUint16(t.buf, tftpData)
	binary.BigEndian.PutUint16(t.buf[2:], uint16(n))
	t.begins[(n+1)%int64(len(t.begins))] = following
	if int64(length) < t.block {
		t.last = n
	}
	switch {
	case n <= t.high:
		t.resent++
	case t.timed == 0:
		t.timed, t.timedAt = n, now
	}
	t.sent, t.high = n, max(t.high, n)
	t.deadline = now.Add(t.rto)
	return t.buf[:tftpHeader+length]
}

// end is the last block that may be sent before the next acknowledgement.
func (t *tftpTransfer) end() int64 {
	if t.last > 0 {
		return min(t.acked+t.window, t.last)
	}
	return t.acked + t.window
}

// receive takes a packet of the client.
func (t *tftpTransfer) receive(packet []byte, now time.Time) {
	if len(packet) < tftpHeader || t.over {
		return
	}
	number := binary.BigEndian.Uint16(packet[2:])
	switch binary.BigEndian.Uint16(packet) {
	case tftpError:
		t.stop(clientFault(number, packet[tftpHeader:]))
	case tftpAck:
		t.acknowledge(number, now)
	}
}

func (t *tftpTransfer) acknowledge(number uint16, now time.Time) {
	if t.oack != nil {
		if number == 0 && t.oackOut {
			t.oack = nil
			t.progress()
		}
		return
	}
	n := t.acked + int64(number-uint16(t.acked)) // whatever has wrapped around
	switch {
	case n > t.high: // an old one, or one for what was never sent
	case n > t.acked:
		t.measure(n, now)
		t.acked = n
		t.progress()
		switch {
		case n == t.last:
			t.stop(nil)
		case n >= t.sent:
			t.sent = n
		case n >= t.quiet:
			// RFC 7440: an ACK within the window asks for what follows it.
			t.back(1)
		}
	case t.window > 1 && t.sent == t.end() && n >= t.quiet:
		t.back(2) // the window's first block was lost
	}
}

// expire is called when the deadline is over.
func (t *tftpTransfer) expire(now time.Time) {
	if t.over || now.Before(t.deadline) {
		return
	}
	t.tries++
	if t.tries >= tftpTries || !t.started && t.tries >= tftpTries/2 {
		t.stop(errTFTPSilent)
		return
	}
	t.rto = min(2*t.rto, max(tftpMaxRTO, t.asked))
	if t.oack != nil {
		t.resent++
		t.oackOut = false
		return
	}
	t.back(2)
}

// back goes back to what the client has acknowledged. Blocks that it then gets
// twice may bring ACKs that mean nothing, for as many windows: until then only
// the timer leads back again.
func (t *tftpTransfer) back(windows int64) {
	t.sent = t.acked
	t.quiet = t.acked + windows*t.window
	t.timed = 0 // whose answer comes would not be known (Karn; RFC 6298, 3)
}

func (t *tftpTransfer) progress() {
	t.started = true
	t.tries = 0
	t.rto = t.baseRTO()
}

func (t *tftpTransfer) stop(err error) { t.over, t.err = true, err }

// measure takes the round trip of the block that is being timed (RFC 6298, 2).
func (t *tftpTransfer) measure(n int64, now time.Time) {
	if t.timed == 0 || n < t.timed {
		return
	}
	r := max(now.Sub(t.timedAt), time.Microsecond)
	t.timed = 0
	if t.smooth == 0 {
		t.smooth, t.swing = r, r/2
		return
	}
	t.swing = (3*t.swing + (t.smooth - r).Abs()) / 4
	t.smooth = (7*t.smooth + r) / 8
}

func (t *tftpTransfer) baseRTO() time.Duration {
	switch {
	case t.asked > 0:
		return t.asked
	case t.smooth == 0:
		return tftpFirstRTO
	}
	return min(t.smooth+max(4*t.swing, tftpMinRTO), tftpMaxRTO)
}

// clientFault is the error that a client has sent.
func clientFault(code uint16, text []byte) error {
	s := plainText(text)
	if s == "" {
		s = "no reason given"
	}
	return tftpFaultf(code, "the client says: %s", s)
}
