//go:build linux

package run

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"rambox/internal/vmtest"
)

// guest is a run that is under way. Its program ends with its standard input.
type guest struct {
	t              *testing.T
	stdin          io.WriteCloser
	stdout, stderr *bufio.Reader
	wait           func() error
}

// startGuest runs rambox by way of other programs, if there are any.
func startGuest(t *testing.T, via []string, args ...string) *guest {
	t.Helper()
	argv := append(via[:len(via):len(via)], vmtest.Rambox(t), "run", "--kernel", kernel(t))
	argv = append(argv, args...)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	stderr, err3 := cmd.StderrPipe()
	if err := errors.Join(err1, err2, err3, cmd.Start()); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
	})
	return &guest{t, stdin, bufio.NewReader(stdout), bufio.NewReader(stderr), cmd.Wait}
}

// line reads a line of the program's output.
func (g *guest) line() string {
	g.t.Helper()
	s, err := g.stdout.ReadString('\n')
	if err != nil {
		rest, _ := io.ReadAll(g.stderr)
		g.t.Fatalf("the guest's output ends with %q: %v\n%s", s, err, rest)
	}
	return strings.TrimSpace(s)
}

// end lets the program end, and expects that it and rambox are content.
func (g *guest) end() {
	g.t.Helper()
	g.stdin.Close()
	out, _ := io.ReadAll(g.stdout)
	errs, _ := io.ReadAll(g.stderr)
	if err := g.wait(); err != nil || len(errs) > 0 {
		g.t.Errorf("the run ended with %v; output %q, error %q", err, out, errs)
	}
}

// serve is a script for a guest that serves a page. Init has configured its
// network.
func serve(page string) string {
	return fmt.Sprintf(`mkdir /www && echo '%s' > /www/index.html && busybox httpd -p 80 -h /www && echo ready`, page)
}

// udpEcho goes into the background and sends each datagram back.
const udpEcho = `
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void) {
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7)};
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	if (bind(s, (void *)&a, sizeof a)) return 1;
	if (fork()) return 0;
	for (;;) {
		char b[99];
		socklen_t l = sizeof a;
		ssize_t n = recvfrom(s, b, sizeof b, 0, (void *)&a, &l);
		sendto(s, b, n, 0, (void *)&a, l);
	}
}`

// TestForward reaches a guest's servers over TCP and UDP by ports of 127.0.0.1
// that rambox has chosen, and the guest reaches the host.
func TestForward(t *testing.T) {
	t.Parallel()
	page := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "the page of the host") })}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go page.Serve(l)
	defer page.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	g := startGuest(t, nil, "--forward", "0:80", "--forward", "udp:0:7", "--add", vmtest.Program(t, udpEcho)+":/echo", "--", "sh", "-c",
		"/echo && "+serve("the page of the guest")+" && busybox wget -qO- http://10.0.2.2:"+port+"/; cat")
	tcp := g.forwarded(`^rambox: (127\.0\.0\.1:\d+) forwards to port 80 of the guest\n$`)
	udp := g.forwarded(`^rambox: UDP (127\.0\.0\.1:\d+) forwards to port 7 of the guest\n$`)
	if ready, page := g.line(), g.line(); ready != "ready" || page != "the page of the host" {
		t.Errorf("the guest says %q and gets %q", ready, page)
	}
	if got := fetch(t, new(net.Dialer).DialContext, "http://"+tcp+"/"); got != "the page of the guest\n" {
		t.Errorf("the guest's page is %q", got)
	}
	if got := echo(t, udp); got != "datagram" {
		t.Errorf("the guest's echo is %q", got)
	}
	elsewhere := strings.Replace(tcp, "127.0.0.1", "127.0.0.2", 1)
	if c, err := net.Dial("tcp4", elsewhere); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial %s: %v, %v, want it refused", elsewhere, c, err)
	}
	g.end()
}

// forwarded reads the line that says which port was chosen.
func (g *guest) forwarded(pattern string) string {
	g.t.Helper()
	s, err := g.stderr.ReadString('\n')
	match := regexp.MustCompile(pattern).FindStringSubmatch(s)
	if match == nil {
		g.t.Fatalf("rambox says %q, %v, want %s", s, err, pattern)
	}
	return match[1]
}

func fetch(t *testing.T, dial func(ctx context.Context, network, address string) (net.Conn, error), url string) string {
	t.Helper()
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// echo sends a datagram and returns what comes back. QEMU's network loses none.
func echo(t *testing.T, address string) string {
	t.Helper()
	c, err := net.Dial("udp4", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	b := make([]byte, 99)
	if _, err := c.Write([]byte("datagram")); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

// TestForwardTaken: whoever has the port keeps it, and the run ends at once.
func TestForwardTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := run(t, nil, "--forward", l.Addr().String()+":80", "--", "true")
	if want := fmt.Sprintf("rambox: listen on tcp %s: address already in use\n", l.Addr()); got.status != 125 || got.stderr != want {
		t.Errorf("status %d, error %q, want 125 and %q", got.status, got.stderr, want)
	}
}

// TestNetRefused has everything that can be wrong with a device.
func TestNetRefused(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	for _, name := range []string{"busy", "other"} {
		ns.ip("tuntap", "add", name, "mode", "tap", "user", "65534")
		ns.ip("link", "set", name, "up")
	}
	ns.ip("tuntap", "add", "queues", "mode", "tap", "multi_queue")
	ns.ip("link", "set", "queues", "up")
	ns.ip("tuntap", "add", "down", "mode", "tap")
	ns.ip("tuntap", "add", "tun", "mode", "tun")
	ns.ip("link", "add", "brdown", "type", "bridge")
	ns.bridge("br0", "10.77.0.1/24")
	ns.hold("busy", 0)
	ns.hold("queues", unix.IFF_MULTI_QUEUE)
	for _, tc := range []struct {
		net       string
		incapable bool
		want      string // a pattern
	}{
		{"tap:gone", false, `tap device gone: no such device; make it with: ip tuntap add gone mode tap user \$USER`},
		{"tap:busy", false, `tap device busy: in use by another program`},
		{"tap:queues", false, `tap device queues: in use by another program`},
		{"tap:other", true, `tap device other: operation not permitted; make it yours: .*`},
		{"tap:down", false, `tap device down: is down; bring it up with: ip link set down up`},
		{"tap:tun", false, `tap device tun: is a tun device: it carries no Ethernet frames`},
		{"tap:br0", false, `tap device br0: is no tap device`},
		{"bridge:gone", false, `bridge gone: no such device; make it with: ip link add gone type bridge`},
		{"bridge:other", false, `bridge other: is no bridge`},
		{"bridge:brdown", false, `bridge brdown: is down; bring it up with: ip link set brdown up`},
	} {
		t.Run(tc.net, func(t *testing.T) {
			argv := ns.via()
			if tc.incapable {
				argv = append(argv, incapable[:]...)
			}
			argv = append(argv, vmtest.Rambox(t), "run", "--kernel", kernel(t), "--net", tc.net, "--", "true")
			var errs bytes.Buffer
			cmd := exec.Command(argv[0], argv[1:]...)
			cmd.Stderr = &errs
			_ = cmd.Run() // its state says the same
			if status := cmd.ProcessState.ExitCode(); status != 125 || !regexp.MustCompile("^rambox: "+tc.want+"\n$").MatchString(errs.String()) {
				t.Errorf("status %d, error %q, want 125 and %s", status, errs.String(), tc.want)
			}
		})
	}
	if links := ns.ip("link"); strings.Contains(links, "gone") || strings.Contains(links, "rambox") {
		t.Errorf("devices have been made:\n%s", links)
	}
}

// TestTap: a process without any capability uses a tap device of its own.
func TestTap(t *testing.T) {
	t.Parallel()
	for _, queues := range [][]string{nil, {"multi_queue"}} {
		t.Run(strings.Join(queues, ""), func(t *testing.T) {
			ns := newNamespace(t)
			ns.ip(append([]string{"tuntap", "add", "tap0", "mode", "tap", "user", fmt.Sprint(os.Geteuid())}, queues...)...)
			ns.ip("addr", "add", "10.77.0.1/24", "dev", "tap0")
			ns.ip("link", "set", "tap0", "up")
			g := startGuest(t, ns.via(incapable[:]...), "--net", "tap:tap0", "--mac", "52:54:00:01:02:03", "--append", "ip=10.77.0.2::::::none", "--", "sh", "-c", serve("by tap")+"; cat")
			if got := g.line(); got != "ready" {
				t.Errorf("the guest says %q", got)
			}
			if got := ns.fetch("http://10.77.0.2/"); got != "by tap\n" {
				t.Errorf("the guest's page is %q", got)
			}
			if got := ns.ip("neigh", "show", "10.77.0.2"); !strings.Contains(got, "52:54:00:01:02:03") {
				t.Errorf("the guest's neighbour entry is %q", got)
			}
			g.end()
			if got := ns.ip("link", "show", "tap0"); !strings.Contains(got, "NO-CARRIER") {
				t.Errorf("tap0 after the run: %s", got)
			}
		})
	}
}

// TestBridge runs two machines on a bridge: one gets a page from the other, and
// so does the host. The bridge keeps its address and its MTU.
func TestBridge(t *testing.T) {
	t.Parallel()
	ns := newNamespace(t)
	ns.bridge("br0", "10.77.0.1/24")
	ns.ip("link", "add", "uplink", "mtu", "9000", "address", "fa:00:00:00:00:01", "master", "br0", "type", "veth", "peer", "name", "far")
	unchanged := func() {
		t.Helper()
		if br0 := ns.ip("link", "show", "br0"); !strings.Contains(br0, "mtu 9000") || !strings.Contains(br0, "ether fa:00:00:00:00:01") {
			t.Errorf("the bridge has another address or MTU:\n%s", br0)
		}
	}
	unchanged()
	one := startGuest(t, ns.via(), "--net", "bridge:br0", "--append", "ip=10.77.0.2:::24::eth0:none", "--", "sh", "-c", serve("by bridge")+"; cat")
	two := startGuest(t, ns.via(), "--net", "bridge:br0", "--append", "ip=10.77.0.3:::24::eth0:none", "--", "sh", "-c",
		"read -r go && busybox wget -qO- http://10.77.0.2/; cat")
	if got := one.line(); got != "ready" {
		t.Errorf("the first guest says %q", got)
	}
	fmt.Fprintln(two.stdin, "go")
	if got := two.line(); got != "by bridge" {
		t.Errorf("the second guest gets %q", got)
	}
	if got := ns.fetch("http://10.77.0.2/"); got != "by bridge\n" {
		t.Errorf("the host gets %q", got)
	}
	unchanged()
	if links := ns.ip("-o", "link", "show", "master", "br0"); strings.Count(links, ": rambox") != 2 {
		t.Errorf("the bridge has:\n%s", links)
	}
	one.end()
	two.end()
	if links := ns.ip("link"); strings.Contains(links, "rambox") {
		t.Errorf("a device has stayed:\n%s", links)
	}
}

// TestBridgeByHelper lets nobody's machine on a bridge by QEMU's setuid helper,
// where that is set up, allows the bridge, and otherwise.
func TestBridgeByHelper(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	kernel := filepath.Join(dir, "kernel")
	vmtest.Copy(t, vmtest.RunKernel(t).Path, dir, "kernel")
	vmtest.Copy(t, vmtest.Rambox(t), dir, "rambox")
	vmtest.Copy(t, vmtest.Init(t), dir, "init")
	helper := "/usr/lib/qemu/qemu-bridge-helper"
	for _, tc := range []struct {
		name, mode, allow string
		status            int
		stdout, stderr    string // stderr is a pattern
	}{
		{"works", "4755", "br0", 0, "64 bytes from 10.77.0.1: ", "^$"},
		{"not setuid", "755", "br0", 125, "", "^rambox: bridge br0: making a tap device on it takes root, or QEMU's helper, which is not set up: " +
			"chmod u\\+s " + helper + "; echo 'allow br0' >> /etc/qemu/bridge.conf\n$"},
		{"not allowed", "4755", "br1", 125, "", "^rambox: QEMU ended with status 1: access denied by acl file; .*br=br0.*: bridge helper failed\n$"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ns := newNamespace(t)
			ns.bridge("br0", "10.77.0.1/24")
			// What the mounts hide is hidden in the mount namespace of this command only.
			argv := ns.via("sh", "-ec", `
				cd "$1"; mode=$2; allow=$3; helper=$4; shift 4
				mount -t tmpfs -o mode=755 none mnt
				mknod -m 666 mnt/tun c 10 200; mount --bind mnt/tun /dev/net/tun
				cp "$helper" mnt/helper; chmod "$mode" mnt/helper; mount --bind mnt/helper "$helper"
				mkdir -p mnt/etc/qemu; cp /etc/ld.so.cache mnt/etc; echo "allow $allow" > mnt/etc/qemu/bridge.conf; mount --bind mnt/etc /etc
				exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all ./rambox run "$@"`,
				"sh", dir, tc.mode, tc.allow, helper, "--kernel", kernel, "--net", "bridge:br0", "--append", "ip=off", "--", "sh", "-c",
				"busybox ip addr add 10.77.0.2/24 dev eth0 && busybox ip link set eth0 up && busybox ping -c 1 -W 20 10.77.0.1 | grep 'bytes from'")
			cmd := exec.Command(argv[0], argv[1:]...)
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			_ = cmd.Run() // its state says the same
			status := cmd.ProcessState.ExitCode()
			if status != tc.status || !strings.HasPrefix(out.String(), tc.stdout) || !regexp.MustCompile(tc.stderr).MatchString(errs.String()) {
				t.Errorf("status %d, want %d; output %q; error %q, want %s", status, tc.status, out.String(), errs.String(), tc.stderr)
			}
		})
	}
}

// openDir is a directory that everybody can enter, with a place to mount on.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "mnt"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
