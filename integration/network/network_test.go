//go:build linux

// Package network boots machines with network cards and lets init see to
// them. What the network has to say comes from QEMU's own DHCP server, or from
// a server in the test that gets and sends raw frames, and so can be late,
// wrong or malicious.
package network

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/internal/kernels"
	"rambox/internal/vmtest"
)

func TestMain(m *testing.M) {
	vmtest.Parallel(2)
	os.Exit(m.Run())
}

// agent is the program in a guest that does what a test says: it says what the
// network is at its first line, and then runs one line after another from the
// console. Nothing is echoed, and with loglevel=1 the kernel is silent there,
// so that what the console shows is what the line has written.
const agent = `#!/bin/sh
read -r up _ </proc/uptime
# state is all that there is of IPv4.
state() {
	ip -4 -o addr | while read -r _ device _ address _; do echo "$device $address"; done
	ip route
	[ ! -s /etc/resolv.conf ] || cat /etc/resolv.conf
}
# await waits for a line to succeed.
await() {
	tries=0
	until eval "$1"; do
		tries=$((tries + 1))
		[ $tries -lt 1200 ] || { echo "not within 60 s: $1"; return 1; }
		usleep 50000
	done
}
first=$(state)
uptime_first=$up
stty -echo
echo "--ready--"
while read -r line; do
	eval "$line"
	echo "--status $?--"
done
`

// applets are the names under which the agent calls busybox, beside those of
// vmtest.AddBusybox.
var applets = [...]string{"ip", "grep", "hostname", "pidof", "usleep", "tail", "cut", "sort", "touch", "poweroff"}

// image makes a tree with the agent as /app, and renew_ip.
func image(t *testing.T, k kernels.Kernel, modules ...string) string {
	t.Helper()
	dir := vmtest.Tree(t)
	vmtest.AddModules(t, dir, k, append(modules, "virtio_pci", "virtio_net")...)
	addAgent(t, dir, "app")
	link(t, dir, "/init", "sbin/renew_ip")
	return dir
}

// addAgent puts the agent and what it calls into a tree with busybox.
func addAgent(t *testing.T, dir, name string) {
	t.Helper()
	for _, applet := range applets {
		link(t, dir, "busybox", "bin/"+applet)
	}
	vmtest.WriteFile(t, dir, name, 0o755, agent)
}

func link(t *testing.T, dir, target, name string) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, p); err != nil {
		t.Fatal(err)
	}
}

// guest is a machine with the agent in it.
type guest struct {
	*vmtest.Guest
	t *testing.T
}

// start boots vm and waits for the agent, its payload.
func start(t *testing.T, vm vmtest.VM) guest {
	t.Helper()
	vm.Append += payload
	g := guest{vmtest.Start(t, vm), t}
	g.ready()
	return g
}

// payload makes the agent the payload, and keep the log off the console.
const (
	payload = " rambox.payload=/app" + silent
	silent  = " loglevel=1"
)

// ready waits until the agent has begun.
func (g guest) ready() {
	g.t.Helper()
	g.Expect("--ready--")
	g.Expect("\n")
}

// try runs a line in the guest and returns what it writes, and its status.
func (g guest) try(line string) (output string, status int) {
	g.t.Helper()
	g.Send(line + "\n")
	output = strings.ReplaceAll(g.Expect("--status "), "\r", "")
	word := g.Expect("--")
	g.Expect("\n")
	status, err := strconv.Atoi(word)
	if err != nil {
		g.t.Fatalf("%s: status %q", line, word)
	}
	return output, status
}

// run runs a line that has to succeed.
func (g guest) run(line string) string {
	g.t.Helper()
	output, status := g.try(line)
	if status != 0 {
		g.t.Fatalf("%s: status %d\n%s\nthe log:\n%s", line, status, output, g.log())
	}
	return output
}

// want compares what a line writes.
func (g guest) want(line, want string) {
	g.t.Helper()
	if diff := cmp.Diff(want, g.run(line)); diff != "" {
		g.t.Errorf("%s (-want +got):\n%s\nthe log:\n%s", line, diff, g.log())
	}
}

// wantFirst compares what the network was when the payload began.
func (g guest) wantFirst(want string) {
	g.t.Helper()
	g.want(`[ -z "$first" ] || echo "$first"`, want)
}

// log is the last that init had to say.
func (g guest) log() string {
	output, _ := g.try("dmesg | grep -E 'rambox: |Run /init|crng' | tail -n 30")
	return output
}

// stamp is when the kernel's log got the first line with this text, in seconds
// of the guest's clock.
func (g guest) stamp(text string) float64 {
	g.t.Helper()
	return g.stampIn(g.run("dmesg"), text)
}

func (g guest) stampIn(log, text string) float64 {
	g.t.Helper()
	for line := range strings.Lines(log) {
		if strings.Contains(line, text) {
			return g.seconds(strings.Trim(strings.SplitN(line, "]", 2)[0], "[ "))
		}
	}
	g.t.Fatalf("the log does not have %q:\n%s", text, log)
	return 0
}

func (g guest) seconds(s string) float64 {
	g.t.Helper()
	v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil {
		g.t.Fatal(err)
	}
	return v
}

// began is when the payload began, in seconds of the guest's clock.
func (g guest) began() float64 {
	g.t.Helper()
	return g.seconds(g.run("echo $uptime_first"))
}

// wantStart checks how long after init the payload began, in seconds. What does
// not wait for the network takes less than its 10 s on any machine.
func (g guest) wantStart(least, most float64) {
	g.t.Helper()
	if took := g.began() - g.stamp("Run /init as init"); took < least || took > most {
		g.t.Errorf("the payload began %.2f s after init, want %v to %v\nthe log:\n%s", took, least, most, g.log())
	}
}

// wantLog checks that init has said something.
func (g guest) wantLog(texts ...string) {
	g.t.Helper()
	log := g.log()
	for _, text := range texts {
		if !strings.Contains(log, text) {
			g.t.Errorf("the log does not have %q:\n%s", text, log)
		}
	}
}

// end ends the payload with a status, and checks that it arrives.
func (g guest) end(status int) {
	g.t.Helper()
	g.Send(fmt.Sprintf("dmesg -n 8; exit %d\n", status))
	vmtest.Contains(g.t, g.End(), fmt.Sprintf("rambox: payload /app: exit %d", status), "reboot: Power down")
	vmtest.Lacks(g.t, g.Shown(), "Kernel panic", "Oops:")
}

// nobody is what the network is without a lease.
const nobody = "lo 127.0.0.1/8\n"
