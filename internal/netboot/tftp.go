package netboot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Opcodes of TFTP (RFC 1350, 5; RFC 2347).
const (
	tftpRead  = 1
	tftpWrite = 2
	tftpData  = 3
	tftpAck   = 4
	tftpError = 5
	tftpOack  = 6
)

// Error codes of TFTP (RFC 1350, appendix; RFC 2347).
const (
	tftpUndefined     = 0
	tftpNotFound      = 1
	tftpAccess        = 2
	tftpIllegal       = 4
	tftpOptionRefused = 8
)

const (
	tftpPort       = 69
	tftpHeader     = 4   // bytes before the data of a DATA packet
	tftpMaxRequest = 512 // bytes of a request (RFC 2347)

	defaultBlock = 512   // bytes (RFC 1350)
	minBlock     = 8     // RFC 2348
	maxBlock     = 65464 // RFC 2348
	maxWindow    = 64    // blocks; RFC 7440 allows 65535, but no client gains by more
)

// tftpFault is what ends a transfer, as it is told to the other side.
type tftpFault struct {
	code uint16
	text string
}

func (f *tftpFault) Error() string { return f.text }

func tftpFaultf(code uint16, format string, a ...any) *tftpFault {
	return &tftpFault{code, fmt.Sprintf(format, a...)}
}

// packet is the ERROR packet of it.
func (f *tftpFault) packet() []byte {
	b := binary.BigEndian.AppendUint16(nil, tftpError)
	b = binary.BigEndian.AppendUint16(b, f.code)
	// The text ends with a NUL, and is shown on terminals.
	text := strings.Map(visible, f.text)
	return append(append(b, text[:min(len(text), 200)]...), 0)
}

func visible(r rune) rune {
	if r < ' ' || r > '~' {
		return '?'
	}
	return r
}

// tftpRequest is a read request. A number that was not asked for is 0.
type tftpRequest struct {
	name     string // as it came; see cleanName
	netascii bool
	block    int           // blksize, bytes (RFC 2348)
	window   int           // windowsize, blocks (RFC 7440)
	timeout  time.Duration // (RFC 2349)
	size     bool          // tsize (RFC 2349)
}

// parseRequest reads the first packet of a client. The fault is what to answer;
// without one and without ok there is nothing to answer: a packet of a transfer
// that is over, or an ERROR.
func parseRequest(packet []byte) (r tftpRequest, ok bool, fault *tftpFault) {
	if len(packet) < 2 {
		return r, false, nil
	}
	switch binary.BigEndian.Uint16(packet) {
	case tftpRead:
	case tftpWrite:
		return r, false, tftpFaultf(tftpAccess, "this server is read-only")
	default:
		// Answering these would let two servers talk to each other for ever.
		return r, false, nil
	}
	if len(packet) > tftpMaxRequest {
		return r, false, tftpFaultf(tftpIllegal, "request of %d bytes: want at most %d", len(packet), tftpMaxRequest)
	}
	fields, err := tftpFields(packet[2:])
	if err != nil {
		return r, false, tftpFaultf(tftpIllegal, "%v", err)
	}
	r.name = fields[0]
	switch mode := strings.ToLower(fields[1]); mode {
	case "octet":
	case "netascii":
		r.netascii = true
	default:
		return r, false, tftpFaultf(tftpIllegal, "mode %q: want octet or netascii", mode)
	}
	r.options(fields[2:])
	return r, true, nil
}

// tftpFields splits what follows the opcode: strings that end with a NUL each,
// at least a name and a mode. Padding after the last one, which some ROMs send,
// is not looked at.
func tftpFields(b []byte) ([]string, error) {
	var fields []string
	for len(b) > 0 {
		s, rest, ok := bytes.Cut(b, []byte{0})
		if !ok {
			break
		}
		fields = append(fields, string(s))
		b = rest
	}
	if len(fields) < 2 {
		return nil, errors.New("request without a file name and a mode")
	}
	return fields, nil
}

// options reads pairs of name and value. RFC 2347: what the server does not
// know, or does not like, it leaves out of its answer; of two of a name, which
// are not allowed, the first counts.
func (r *tftpRequest) options(fields []string) {
	seen := map[string]bool{}
	for len(fields) >= 2 {
		name, value := strings.ToLower(fields[0]), fields[1]
		fields = fields[2:]
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil || seen[name] {
			continue
		}
		seen[name] = true
		switch {
		case name == "blksize" && n >= minBlock:
			r.block = int(min(n, maxBlock))
		case name == "windowsize" && n >= 1:
			r.window = int(min(n, maxWindow))
		case name == "timeout" && n >= 1 && n <= 255:
			r.timeout = time.Duration(n) * time.Second
		case name == "tsize":
			r.size = true
		}
	}
}

// oack is the answer to the options: nil if there is none to acknowledge. size
// is the file's in bytes.
func (r tftpRequest) oack(size int64) []byte {
	b := binary.BigEndian.AppendUint16(nil, tftpOack)
	add := func(name string, n int64) {
		b = append(append(b, name...), 0)
		b = append(strconv.AppendInt(b, n, 10), 0)
	}
	if r.block > 0 {
		add("blksize", int64(r.block))
	}
	if r.window > 0 {
		add("windowsize", int64(r.window))
	}
	if r.timeout > 0 {
		add("timeout", int64(r.timeout/time.Second))
	}
	// How long a file becomes as netascii is not known before it has been read.
	// curl (7.88) gives up at a size of 0, and takes the file without it.
	if r.size && !r.netascii && size > 0 {
		add("tsize", size)
	}
	if len(b) == 2 {
		return nil
	}
	return b
}
