//go:build linux

package root

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// nfsServer serves one directory to be read, by NFS version 3 and its MOUNT
// protocol (RFC 1813) in ONC RPC (RFC 5531) over TCP, both on one port.
type nfsServer struct {
	dir string // of the host

	mu    sync.Mutex
	paths []string // by file handle, relative to dir
	asked []string // directories that clients wanted to mount
}

// exported is the only directory that clients may mount.
const exported = "/srv/root"

// Numbers of RFC 5531 and RFC 1813.
const (
	rpcProgUnavail, rpcProcUnavail = 1, 3
	programNFS, programMount       = 100003, 100005
	nfsNoEntry, nfsAccess, nfsIO   = 2, 13, 5
)

// serveNFS serves dir on l until l is closed.
func serveNFS(l net.Listener, dir string) *nfsServer {
	s := &nfsServer{dir: dir, paths: []string{"."}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.converse(c)
		}
	}()
	return s
}

// nfsOptions are the options of a client that is to come to an address.
func nfsOptions(address net.Addr) string {
	port := strconv.Itoa(address.(*net.TCPAddr).Port)
	return "port=" + port + ",mountport=" + port
}

func (s *nfsServer) converse(c net.Conn) {
	defer c.Close()
	for {
		var mark [4]byte
		if _, err := io.ReadFull(c, mark[:]); err != nil {
			return
		}
		// RFC 5531, 11: the highest bit says that it is the record's last
		// fragment; Linux sends no other.
		call := make(message, binary.BigEndian.Uint32(mark[:])&^(1<<31))
		if _, err := io.ReadFull(c, call); err != nil {
			return
		}
		reply := s.answer(call)
		frame := message(nil).put(1<<31 | uint32(len(reply)))
		if _, err := c.Write(append(frame, reply...)); err != nil {
			return
		}
	}
}

// message is what is left of one to read, or what there is of one to send, in
// XDR (RFC 4506).
type message []byte

func (m *message) number() uint32 {
	if len(*m) < 4 {
		return 0
	}
	n := binary.BigEndian.Uint32(*m)
	*m = (*m)[4:]
	return n
}

func (m *message) long() uint64 { return uint64(m.number())<<32 | uint64(m.number()) }

func (m *message) bytes() []byte {
	n := int(m.number())
	if n > len(*m) {
		return nil
	}
	b := (*m)[:n]
	*m = (*m)[min(len(*m), (n+3)&^3):]
	return b
}

func (m message) put(numbers ...uint32) message {
	for _, n := range numbers {
		m = binary.BigEndian.AppendUint32(m, n)
	}
	return m
}

func (m message) putLong(numbers ...uint64) message {
	for _, n := range numbers {
		m = binary.BigEndian.AppendUint64(m, n)
	}
	return m
}

func (m message) putBytes(b []byte) message {
	m = append(m.put(uint32(len(b))), b...)
	return append(m, make([]byte, -len(b)&3)...)
}

// answer is the reply to a call.
func (s *nfsServer) answer(call message) message {
	xid := call.number()
	call.number() // it is a call
	call.number() // of RPC version 2
	program, version, procedure := call.number(), call.number(), call.number()
	call.number() // the credentials, and what proves them
	call.bytes()
	call.number()
	call.bytes()
	accepted := message(nil).put(xid, 1, 0, 0, 0)
	if version != 3 || program != programNFS && program != programMount {
		return accepted.put(rpcProgUnavail)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var result message
	ok := procedure == 0
	switch {
	case ok:
	case program == programMount:
		result, ok = s.mount(procedure, call)
	default:
		result, ok = s.nfs(procedure, call)
	}
	if !ok {
		return accepted.put(rpcProcUnavail)
	}
	return append(accepted.put(0), result...)
}

func (s *nfsServer) mount(procedure uint32, call message) (message, bool) {
	switch procedure {
	case 1:
		dir := string(call.bytes())
		s.asked = append(s.asked, dir)
		if dir != exported {
			return message(nil).put(nfsAccess), true
		}
		return message(nil).put(0).putBytes(s.handle(".")).put(1, 1), true // AUTH_SYS
	case 3:
		return nil, true
	}
	return nil, false
}

// handle is the file handle of a path: its place in a list.
func (s *nfsServer) handle(path string) []byte {
	i := slices.Index(s.paths, path)
	if i < 0 {
		i = len(s.paths)
		s.paths = append(s.paths, path)
	}
	return message(nil).putLong(uint64(i))
}

// nfs carries out a call about the file whose handle comes first.
func (s *nfsServer) nfs(procedure uint32, call message) (message, bool) {
	handle := message(call.bytes())
	i := handle.long()
	if i >= uint64(len(s.paths)) {
		return message(nil).put(nfsIO, 0), true
	}
	path := s.paths[i]
	attr := s.attributes(path)
	ok := message(nil).put(0)
	if procedure != 1 {
		ok = append(ok.put(1), attr...)
	}
	const (
		block     = 64 << 10
		largeFile = 1 << 40
	)
	switch procedure {
	case 1: // GETATTR
		return append(ok, attr...), true
	case 3: // LOOKUP
		name := filepath.Join(path, string(call.bytes()))
		child := s.attributes(name)
		if child == nil {
			return append(message(nil).put(nfsNoEntry, 1), attr...), true
		}
		found := append(message(nil).put(0).putBytes(s.handle(name)).put(1), child...)
		return append(found.put(1), attr...), true
	case 4: // ACCESS: read, look up, execute
		return ok.put(call.number() & 0x23), true
	case 5: // READLINK
		link, _ := os.Readlink(filepath.Join(s.dir, path))
		return ok.putBytes([]byte(link)), true
	case 6: // READ
		return s.read(path, call.long(), min(call.number(), block), ok), true
	case 16, 17: // READDIR, READDIRPLUS
		return s.list(path, call.long(), procedure == 17, ok), true
	case 18: // FSSTAT
		return ok.putLong(largeFile, 0, 0, 0, 0, 0).put(0), true
	case 19: // FSINFO
		return ok.put(block, block, 1, block, block, 1, block).putLong(largeFile).put(0, 1, 0x1b), true
	case 20: // PATHCONF
		return ok.put(1, 255, 1, 1, 0, 1), true
	}
	return nil, false
}

func (s *nfsServer) read(path string, offset uint64, count uint32, ok message) message {
	f, err := os.Open(filepath.Join(s.dir, path))
	if err != nil {
		return message(nil).put(nfsIO, 0)
	}
	defer f.Close()
	b := make([]byte, count)
	n, err := f.ReadAt(b, int64(offset))
	end := uint32(0)
	if err == io.EOF {
		end = 1
	}
	return ok.put(uint32(n), end).putBytes(b[:n])
}

func (s *nfsServer) list(path string, from uint64, plus bool, ok message) message {
	entries, err := os.ReadDir(filepath.Join(s.dir, path))
	if err != nil {
		return message(nil).put(nfsIO, 0)
	}
	reply := ok.putLong(0) // the cookie verifier
	for i, e := range entries {
		if uint64(i) < from {
			continue
		}
		name := filepath.Join(path, e.Name())
		attr := s.attributes(name)
		fileID := binary.BigEndian.Uint64(attr[52:])
		reply = reply.put(1).putLong(fileID).putBytes([]byte(e.Name())).putLong(uint64(i + 1))
		if plus {
			reply = append(reply.put(1), attr...).put(1).putBytes(s.handle(name))
		}
	}
	return reply.put(0, 1)
}

// attributes is a fattr3; nil if there is no such file. All of them are root's.
func (s *nfsServer) attributes(path string) message {
	var st unix.Stat_t
	if unix.Lstat(filepath.Join(s.dir, path), &st) != nil {
		return nil
	}
	kind := map[uint32]uint32{unix.S_IFREG: 1, unix.S_IFDIR: 2, unix.S_IFLNK: 5}[st.Mode&unix.S_IFMT]
	m := message(nil).put(kind, st.Mode&0o7777, uint32(st.Nlink), 0, 0).putLong(uint64(st.Size), uint64(st.Blocks)*512)
	m = m.put(0, 0).putLong(1, st.Ino)
	for range 3 {
		m = m.put(uint32(st.Mtim.Sec), uint32(st.Mtim.Nsec))
	}
	return m
}
