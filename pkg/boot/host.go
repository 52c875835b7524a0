//go:build linux

package boot

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The names of the virtio-serial ports over which rambox run and init talk,
// and the place where the kernel shows them.
const (
	portControl = "rambox.control"
	portStdin   = "rambox.stdin"
	portStdout  = "rambox.stdout"
	portStderr  = "rambox.stderr"
	portClass   = "/sys/class/virtio-ports"
)

// portWait is how long the ports may take to appear after their driver has
// been loaded; doneWait how long rambox run may take to read the last output.
const (
	portWait = 3 * time.Second
	doneWait = 5 * time.Second
)

// host is rambox run, at the other end of the status channel: virtio-serial
// ports where the kernel has them, else marked lines on the console.
type host struct {
	nonce   string
	ports   map[string]string // name → device: "rambox.stdin" → "/dev/vport1p2"
	control int               // fd; -1 without ports
	done    chan struct{}     // closed when the host has all output

	mu   sync.Mutex
	size unix.Winsize // what the host's terminal measures, as far as it has said
	pty  int          // the terminal of the payload; -1 when it has none
}

// attachHost finds the ports. What it takes for the payload not to be able to
// speak in init's name is done here: the nonce is gone before it starts.
func (m *pid1) attachHost() {
	if m.host != nil {
		return // the boot was tried before
	}
	nonce, err := readFile("/" + nonceFile)
	if err != nil {
		m.log.Warnf("%v", err)
	}
	os.Remove("/" + nonceFile)
	h := &host{nonce: strings.TrimSpace(string(nonce)), control: -1, done: make(chan struct{}), pty: -1}
	m.host = h
	defer h.tell("boot")
	if !hasVirtioConsole() {
		return
	}
	want := []string{portControl, portStdin, portStdout, portStderr}
	err = m.await("the ports of rambox run", portWait, func() bool {
		h.ports = findPorts()
		for _, name := range want {
			if h.ports[name] == "" {
				return false
			}
		}
		return true
	})
	if err == nil {
		h.control, err = unix.Open(h.ports[portControl], unix.O_RDWR|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		m.log.Warnf("%v; reporting on the console", err)
		h.ports = nil
		return
	}
	m.spawn(func() { m.obey(h) })
}

// hasVirtioConsole looks for a virtio device of type 3 (virtio 1.2, section
// 5.3) that a driver has taken.
func hasVirtioConsole() bool {
	const bus = "/sys/bus/virtio/drivers/virtio_console"
	for _, name := range list(bus) {
		if strings.HasPrefix(name, "virtio") {
			return true
		}
	}
	return false
}

func findPorts() map[string]string {
	ports := map[string]string{}
	for _, port := range list(portClass) {
		// The name comes a moment after the port.
		if name, err := readFile(portClass + "/" + port + "/name"); err == nil {
			ports[strings.TrimSpace(string(name))] = "/dev/" + port
		}
	}
	return ports
}

func (h *host) connected() bool { return h != nil && h.control >= 0 }

// tell says something to rambox run, if it has started this machine.
func (h *host) tell(words ...string) {
	switch {
	case h == nil:
	case h.connected():
		writeAll(h.control, []byte(oneLine(words)+"\n"))
	default:
		h.mark(words)
		if words[0] != "boot" && words[0] != "start" {
			h.mark(words) // once more: the kernel may have cut into the first
		}
	}
}

// oneLine joins words; line ends in a message would end the line.
func oneLine(words []string) string {
	return strings.ReplaceAll(strings.TrimRight(strings.Join(words, " "), " \n"), "\n", "; ")
}

// mark writes a status line to the console, and waits a moment until the line
// has left the machine.
func (h *host) mark(words []string) {
	fd, _, err := openConsole()
	if err != nil {
		return
	}
	defer unix.Close(fd)
	writeAll(fd, []byte("\r\nrambox-"+h.nonce+": "+oneLine(words)+"\r\n"))
	within(doneWait, func() { drainConsole(fd) })
}

// awaitDone waits until rambox run has said that it has all output.
func (h *host) awaitDone() {
	select {
	case <-h.done:
	case <-time.After(doneWait):
	}
}

// obey carries out the lines that rambox run sends. One that it does not know
// is ignored: the host tool may be newer.
func (m *pid1) obey(h *host) {
	readLines(h.control, func(line string) { m.command(h, strings.Fields(line)) })
}

// readLines calls f for each line until the other end has gone.
func readLines(fd int, f func(line string)) {
	var line []byte
	buf := make([]byte, 256)
	for {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			return
		}
		for _, c := range buf[:n] {
			if c != '\n' {
				if len(line) < 4096 {
					line = append(line, c)
				}
				continue
			}
			f(string(line))
			line = line[:0]
		}
	}
}

func (m *pid1) command(h *host, words []string) {
	number := func(i int) int {
		if i >= len(words) {
			return 0
		}
		n, _ := strconv.Atoi(words[i])
		return n
	}
	if len(words) == 0 {
		return
	}
	switch words[0] {
	case "done":
		select {
		case <-h.done:
		default:
			close(h.done)
		}
	case "signal":
		if group := int(m.payload.Load()); group > 0 && number(1) > 0 {
			unix.Kill(-group, unix.Signal(number(1)))
		}
	case "winsize":
		h.resize(-1, unix.Winsize{Row: uint16(number(1)), Col: uint16(number(2))})
	case "poweroff":
		m.requestPower(PowerOff)
	}
}

// resize notes the payload's terminal (unless pty is -1) and its size (unless
// that is zero), and sets one to the other as soon as both are known.
func (h *host) resize(pty int, size unix.Winsize) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if pty >= 0 {
		h.pty = pty
	}
	if size != (unix.Winsize{}) {
		h.size = size
	}
	if h.pty >= 0 && h.size != (unix.Winsize{}) {
		unix.IoctlSetWinsize(h.pty, unix.TIOCSWINSZ, &h.size)
	}
}

// writeAll writes all of b, or as much as the other end takes.
func writeAll(fd int, b []byte) (written int, err error) {
	for written < len(b) {
		n, err := unix.Write(fd, b[written:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return written, err
		}
		written += n
	}
	return written, nil
}
