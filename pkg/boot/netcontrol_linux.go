//go:build !nonet

package boot

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"rambox/pkg/netcfg"
)

// controlSocket is where renew_ip finds the network's process: a connection
// carries one word, "renew" or "release", and one answer, "ok" or what is
// wrong.
const controlSocket = runDir + "/net"

// renewWait is how long a server may take to answer a renewal; answerWait how
// long renew_ip waits for the process.
const (
	renewWait  = 10 * time.Second
	answerWait = renewWait + 5*time.Second
)

// control serves renew_ip.
type control struct {
	commands chan netcfg.Command
	warn     func(format string, a ...any)
	open     sync.Once
	over     chan struct{} // closed when Run has ended
	answers  sync.WaitGroup

	asking  sync.Mutex // one renewal at a time
	mu      sync.Mutex
	leased  map[string]bool // the links with a lease; true: nothing heard of it since the last request
	changed chan struct{}
}

func newControl(warn func(format string, a ...any)) *control {
	return &control{
		commands: make(chan netcfg.Command), warn: warn, over: make(chan struct{}),
		leased: map[string]bool{}, changed: make(chan struct{}, 1),
	}
}

// heard takes note of an event of Run. The first lease opens the socket.
func (c *control) heard(e netcfg.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case e.Kind == netcfg.Configured && e.Config.Leased():
		c.leased[e.Link] = false
		c.open.Do(func() { go c.serve() })
	case e.Kind == netcfg.Lost:
		delete(c.leased, e.Link)
	default:
		return
	}
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// ended tells that Run has ended, and waits until who has asked for that knows.
func (c *control) ended() {
	close(c.over)
	within(time.Second, c.answers.Wait)
}

// serve answers every renew_ip.
func (c *control) serve() {
	fd, err := listenAt(controlSocket)
	if err != nil {
		c.warn("renew_ip will not work: %v", err)
		return
	}
	for {
		conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
		if err == unix.EINTR || err == unix.ECONNABORTED {
			continue
		}
		if err != nil {
			c.warn("renew_ip will not work: accept: %v", err)
			return
		}
		c.answers.Go(func() { c.answer(conn) })
	}
}

func listenAt(name string) (fd int, err error) {
	if err := os.MkdirAll(path.Dir(name), 0o755); err != nil {
		return -1, err
	}
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	os.Remove(name) // of a process that has crashed
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: name}), unix.Chmod(name, 0o600), unix.Listen(fd, 8)); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("listen at %s: %w", name, err)
	}
	return fd, nil
}

// answer serves one connection.
func (c *control) answer(conn int) {
	defer unix.Close(conn)
	limit := unix.NsecToTimeval(int64(time.Second))
	unix.SetsockoptTimeval(conn, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit)
	buf := make([]byte, 64)
	n, _ := unix.Read(conn, buf)
	reply := "ok"
	switch word := string(buf[:max(n, 0)]); word {
	case "renew":
		if err := c.renew(); err != nil {
			reply = err.Error()
		}
	case "release":
		select {
		case c.commands <- netcfg.ReleaseAll:
			<-c.over
		case <-c.over:
		}
	default:
		reply = "no such request"
	}
	writeAll(conn, []byte(reply))
}

// renew renews all leases and waits until each has been, or has been lost.
func (c *control) renew() error {
	c.asking.Lock()
	defer c.asking.Unlock()
	c.mu.Lock()
	for link := range c.leased {
		c.leased[link] = true
	}
	c.mu.Unlock()
	deadline := time.After(renewWait)
	select {
	case c.commands <- netcfg.RenewNow:
	case <-deadline:
		return errors.New("the network's process is busy")
	}
	for {
		c.mu.Lock()
		var waiting []string
		for link, waits := range c.leased {
			if waits {
				waiting = append(waiting, link)
			}
		}
		none := len(c.leased) == 0
		c.mu.Unlock()
		if none {
			return errors.New("the lease is lost; asking for another")
		}
		if len(waiting) == 0 {
			return nil
		}
		select {
		case <-c.changed:
		case <-deadline:
			return fmt.Errorf("no DHCP server has answered on %s within %v; the lease runs on", strings.Join(waiting, ", "), renewWait)
		}
	}
}

// renewIP is the command renew_ip.
func renewIP(args []string) int {
	request := "renew"
	for _, arg := range args {
		switch arg {
		case "--release":
			request = "release"
		case "-h", "--help":
			fmt.Print("usage: renew_ip [--release]\nRenews the DHCP leases of this machine at once and prints them. With --release: gives them back.\n")
			return 0
		default:
			fmt.Fprintf(os.Stderr, "renew_ip: %s: want no argument but --release\n", arg)
			return 2
		}
	}
	if err := ask(request); err != nil {
		fmt.Fprintf(os.Stderr, "renew_ip: %v\n", err)
		return 1
	}
	if request == "release" {
		return 0
	}
	for _, name := range list("/run") {
		if strings.HasPrefix(name, "net-") && strings.HasSuffix(name, ".conf") {
			lease, err := readFile("/run/" + name)
			if err != nil {
				fmt.Fprintf(os.Stderr, "renew_ip: %v\n", err)
				return 1
			}
			os.Stdout.Write(lease)
		}
	}
	return 0
}

// ask sends one request to the network's process and waits for its answer.
func ask(request string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(int64(answerWait))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	switch err := unix.Connect(fd, &unix.SockaddrUnix{Name: controlSocket}); err {
	case nil:
	case unix.ENOENT, unix.ECONNREFUSED:
		return errors.New("no lease is being kept: none has been given yet, it was released, or the network is off (rambox.net=, ip=)")
	default:
		return fmt.Errorf("connect to %s: %w", controlSocket, err)
	}
	if _, err := writeAll(fd, []byte(request)); err != nil {
		return fmt.Errorf("ask the network's process: %w", err)
	}
	answer := make([]byte, 1024)
	for {
		n, err := unix.Read(fd, answer)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return fmt.Errorf("the network's process has not answered within %v", answerWait)
		case err != nil:
			return fmt.Errorf("ask the network's process: %w", err)
		case n <= 0:
			return errors.New("the network's process has ended without an answer")
		case string(answer[:n]) != "ok":
			return errors.New(string(answer[:n]))
		}
		return nil
	}
}
