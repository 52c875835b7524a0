//go:build !nonet

package boot

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// How a node tells a server how its boot goes (rambox.report=URL). A process of
// its own posts it, so that PID 1 reads no byte of the answer.
const (
	reportProcess = "rambox-report" // its argv[0]; argv[1] is the URL, standard input what to post
	reportLimit   = 5 * time.Second // for all of its tries
	reportPause   = 500 * time.Millisecond
)

// announce posts a state of this machine, "running", "ended" or "failed", to
// the server that wants to know, if any. wait returns when it has been told, or
// cannot be.
func (m *pid1) announce(state, detail string) (wait func()) {
	if m.plan.Report == "" {
		return func() {}
	}
	done, err := m.startReport(state, detail)
	if err != nil {
		m.log.Warnf("rambox.report=%s: %v", m.plan.Report, err)
		return func() {}
	}
	return func() {
		select {
		case <-done:
		case <-time.After(reportLimit + time.Second):
		}
	}
}

func (m *pid1) startReport(state, detail string) (done <-chan unix.WaitStatus, err error) {
	name, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	b := appendJSON([]byte(`{"state":`), state)
	b = appendJSON(append(b, `,"detail":`...), detail)
	b = appendJSON(append(b, `,"hostname":`...), name)
	b = append(append(b, `,"boot":`...), bytes.TrimSpace(m.json())...)
	body, err := unix.MemfdCreate(reportProcess, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	defer unix.Close(body)
	if _, err := writeAll(body, append(b, "}\n"...)); err != nil {
		return nil, err
	}
	attr := &syscall.ProcAttr{Dir: "/", Files: []uintptr{uintptr(body), 2, 2}, Sys: &syscall.SysProcAttr{Setsid: true}}
	_, done, err = m.start("/proc/self/exe", []string{reportProcess, m.plan.Report}, attr)
	return done, err
}

// postReport is the main function of that process. It tries again for as long
// as reportLimit lets it: the server may be about to start, too.
func postReport(url string) int {
	log := openLog()
	err := dropPrivileges()
	if err != nil {
		log.Warnf("report: %v", err)
	}
	body := make([]byte, 1<<20)
	n, err := unix.Pread(0, body, 0)
	if err != nil {
		log.Warnf("report: %v", err)
		return 1
	}
	for end := time.Now().Add(reportLimit); ; time.Sleep(reportPause) {
		err = post(url, body[:n], time.Until(end))
		if err == nil {
			return 0
		}
		if time.Until(end) < 2*reportPause {
			log.Warnf("rambox.report=%s: %v", url, err)
			return 1
		}
	}
}

// post sends one request and reads the first line of its answer.
func post(url string, body []byte, limit time.Duration) error {
	server, path, err := reportURL(url)
	if err != nil {
		return err
	}
	family, address := unix.AF_INET6, unix.Sockaddr(&unix.SockaddrInet6{Addr: server.Addr().As16(), Port: int(server.Port())})
	if server.Addr().Is4() {
		family, address = unix.AF_INET, &unix.SockaddrInet4{Addr: server.Addr().As4(), Port: int(server.Port())}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	for _, option := range [...]int{unix.SO_SNDTIMEO, unix.SO_RCVTIMEO} { // the first holds for connect, too (socket(7))
		t := unix.NsecToTimeval(int64(max(limit, reportPause)))
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &t); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	if err := unix.Connect(fd, address); err != nil {
		return os.NewSyscallError("connect", err)
	}
	request := "POST " + path + " HTTP/1.1\r\nHost: " + server.String() +
		"\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
	if _, err := writeAll(fd, append([]byte(request), body...)); err != nil {
		return os.NewSyscallError("send", err)
	}
	answer := make([]byte, 256)
	n, err := unix.Read(fd, answer)
	if err != nil {
		return os.NewSyscallError("receive", err)
	}
	// Status-Line of RFC 9112, section 4: "HTTP/1.1 204 No Content".
	line, _, _ := strings.Cut(string(answer[:max(n, 0)]), "\r\n")
	if _, status, _ := strings.Cut(line, " "); !strings.HasPrefix(status, "2") {
		return fmt.Errorf("the server answers %q", line)
	}
	return nil
}

// reportURL reads http://ADDRESS[:PORT][/PATH].
func reportURL(url string) (server netip.AddrPort, path string, err error) {
	bad := fmt.Errorf("%s: want http://ADDRESS[:PORT]/PATH, with a numeric address", url)
	host, ok := strings.CutPrefix(url, "http://")
	if !ok || strings.ContainsAny(url, " \r\n\x00") {
		return server, "", bad
	}
	host, path, _ = strings.Cut(host, "/")
	server, err = netip.ParseAddrPort(host)
	if err != nil {
		var address netip.Addr
		if address, err = netip.ParseAddr(strings.Trim(host, "[]")); err != nil {
			return server, "", bad
		}
		server = netip.AddrPortFrom(address, 80)
	}
	return server, "/" + path, nil
}
