//go:build linux

package network

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"rambox/internal/vmtest"
)

// echoes sends one datagram after another to the server's echo port through
// one socket, each when the one before has come back, until there is a file
// /stop. It fails when one is lost, or cannot be sent.
const echoes = `
#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

int main(void) {
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(7)};
	struct timeval limit = {5, 0};
	int s = socket(AF_INET, SOCK_DGRAM, 0), i;
	inet_pton(AF_INET, "10.9.0.1", &to.sin_addr);
	if (s < 0 || connect(s, (struct sockaddr *)&to, sizeof to) || setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit))
		err(1, "connect");
	for (i = 0; access("/stop", F_OK); i++) {
		int back = 0;
		if (send(s, &i, sizeof i, 0) < 0)
			err(1, "send %d", i);
		if (recv(s, &back, sizeof back, 0) < 0)
			err(1, "receive %d", i);
		if (back != i)
			errx(1, "sent %d, received %d", i, back);
		usleep(10000);
	}
	return i < 100;
}
`

// TestCrash ends the network's process twice, as a bug and as a lack of memory
// would: it is started again, the second time later, and asks for the address
// that it had, which stays and works the whole time.
func TestCrash(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	l := newLAN(t, lease())
	dir := image(t, k)
	vmtest.Copy(t, vmtest.Program(t, echoes), dir, "echoes")
	g := start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, dir), Extra: l.card(0)})
	g.wantFirst(lanLease)
	g.run("/echoes 2>/echoes.err & echoes=$!")

	for n, tc := range []struct {
		signal, how string
		pause       time.Duration
	}{
		{"SEGV", "ended with status 2", time.Second}, // of the Go runtime
		{"KILL", "was killed by signal 9", 2 * time.Second},
	} {
		pid := strings.TrimSpace(g.run("pidof rambox-net"))
		killed := time.Now()
		g.try("kill -" + tc.signal + " " + pid)
		// The Go runtime's traceback goes to the console until then.
		m := l.await("DISCOVER", n+2, of(dhcpv4.MessageTypeDiscover))
		if after := m.at.Sub(killed); after < tc.pause {
			t.Errorf("crash %d: started again after %v, want %v", n+1, after, tc.pause)
		}
		if !m.RequestedIPAddress().Equal(client.AsSlice()) {
			t.Errorf("crash %d: the new process does not ask for the old address: %v", n+1, m)
		}
		l.await("REQUEST", n+2, of(dhcpv4.MessageTypeRequest))
		g.wantLog(fmt.Sprintf("rambox: network: its process %s; starting it again in %v", tc.how, tc.pause))
		g.run("await renew_ip >/dev/null 2>&1")
		if again := strings.TrimSpace(g.run("pidof rambox-net")); again == pid || strings.Contains(again, " ") {
			t.Errorf("crash %d: processes before %s, and after %s", n+1, pid, again)
		}
		g.wantConfined()
	}
	g.want("state", lanLease)
	g.want("touch /stop; wait $echoes; status=$?; cat /echoes.err; echo $status", "0\n")
	g.end(9)
}
