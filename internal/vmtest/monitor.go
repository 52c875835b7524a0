//go:build linux

package vmtest

import (
	"encoding/json"
	"net"
	"testing"
	"time"
)

// monitorLimit is how long QEMU may take to carry out a command.
const monitorLimit = 30 * time.Second

// Monitor changes a running machine, in QEMU's machine protocol
// (docs/interop/qmp-spec.txt of QEMU).
type Monitor struct {
	t        testing.TB
	path     string
	listener net.Listener
	conn     net.Conn
	replies  *json.Decoder
}

// NewMonitor makes a monitor for one machine. It ends with the test.
func NewMonitor(t testing.TB) *Monitor {
	t.Helper()
	m := &Monitor{t: t}
	m.path, m.listener = listen(t, "qmp")
	t.Cleanup(func() {
		m.listener.Close()
		if m.conn != nil {
			m.conn.Close()
		}
	})
	return m
}

// Args are what QEMU needs on its command line.
func (m *Monitor) Args() []string { return []string{"-qmp", "unix:" + m.path} }

// Do carries out a command and waits until it is done. arguments may be nil.
func (m *Monitor) Do(command string, arguments map[string]any) {
	m.t.Helper()
	if m.conn == nil {
		m.connect()
	}
	m.conn.SetDeadline(time.Now().Add(monitorLimit))
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}
	if err := json.NewEncoder(m.conn).Encode(request); err != nil {
		m.t.Fatalf("QEMU's monitor: %s: %v", command, err)
	}
	for {
		var reply struct{ Return, Error json.RawMessage }
		if err := m.replies.Decode(&reply); err != nil {
			m.t.Fatalf("QEMU's monitor: %s: %v", command, err)
		}
		switch {
		case reply.Error != nil:
			m.t.Fatalf("QEMU's monitor: %s %v: %s", command, arguments, reply.Error)
		case reply.Return != nil:
			return
		}
		// Else it is an event.
	}
}

// connect takes QEMU's connection, its greeting and leaves the negotiation of
// capabilities.
func (m *Monitor) connect() {
	m.t.Helper()
	m.listener.(*net.UnixListener).SetDeadline(time.Now().Add(monitorLimit))
	conn, err := m.listener.Accept()
	if err != nil {
		m.t.Fatalf("QEMU's monitor: %v", err)
	}
	m.conn, m.replies = conn, json.NewDecoder(conn)
	m.Do("qmp_capabilities", nil)
}
