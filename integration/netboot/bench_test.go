//go:build linux

package netboot_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// clients is how many machines the benchmark has.
const clients = 20000

var perfCount = regexp.MustCompile(`(sent|received) packets: (\d+)`)

// BenchmarkExchanges finds the highest rate of four-way exchanges at which
// perfdhcp loses none, beside dnsmasq on the same link, with its leases on the
// same disk and, which is unfair to us, without.
func BenchmarkExchanges(b *testing.B) {
	servers := []struct {
		name  string
		start func(*lab) (stop func())
	}{
		{"dnsmasq", func(l *lab) func() {
			return l.dnsmasq(l.server, "s0", "--dhcp-range=10.9.1.0,10.9.200.255,255.255.0.0,1h", "--dhcp-option=3,10.9.0.1", "--domain=example.org",
				"--dhcp-lease-max=60000", "--quiet-dhcp", "--dhcp-authoritative")
		}},
		{"dnsmasq without lease file", func(l *lab) func() {
			return l.dnsmasq(l.server, "s0", "--dhcp-range=10.9.1.0,10.9.200.255,255.255.0.0,1h", "--dhcp-option=3,10.9.0.1", "--domain=example.org",
				"--dhcp-lease-max=60000", "--quiet-dhcp", "--dhcp-authoritative", "--leasefile-ro")
		}},
		{"rambox", func(l *lab) func() {
			c := config(200 * 256)
			c.Limit.PerClient = 1 << 30
			p := l.serve(c, filepath.Join(l.t.TempDir(), "leases.db"))
			return func() { p.ends() }
		}},
	}
	for _, server := range servers {
		b.Run(server.name, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(bestRate(b, server.start), "exchanges/s")
			}
		})
	}
}

// bestRate looks for the highest rate without a loss, to a tenth, each on a
// fresh server.
func bestRate(b *testing.B, start func(*lab) func()) float64 {
	best := 0.0
	low, high := 0, 0
	for rate := 500; high == 0 || high-low > low/10; {
		if got, clean := measure(b, start, rate); clean {
			low, best = rate, max(best, got)
		} else {
			high = rate
		}
		if high == 0 {
			rate *= 2
		} else {
			rate = (low + high) / 2
		}
		if low == 0 && high < 50 {
			b.Fatal("no rate without losses")
		}
	}
	return best
}

// measureFor is how long a rate is held, in seconds.
const measureFor = 5

// measure has perfdhcp do exchanges, and returns how many were done in a second
// and whether the server kept up and lost none. What perfdhcp's own socket has
// dropped, since it had no CPU in time, is not the server's loss.
func measure(b *testing.B, start func(*lab) func(), rate int) (float64, bool) {
	l := newLab(b, 1)
	l.ip("-n", l.clients, "addr", "add", "10.9.0.2/16", "dev", "c0")
	stop := start(l)
	defer stop()
	// A server that has no port open yet loses the first.
	for range 100 {
		if _, err := l.run("perfdhcp", "-4", "-l", "c0", "-n", "1", "-d", "0.1", "10.9.0.1"); err == nil {
			break
		}
	}
	before := l.overflows()
	out, err := l.run("perfdhcp", "-4", "-l", "c0", "-r", strconv.Itoa(rate), "-p", strconv.Itoa(measureFor),
		"-R", strconv.Itoa(clients), "-W", "1000000", "10.9.0.1")
	own := l.overflows() - before
	var n []int // DISCOVERs, OFFERs, REQUESTs, ACKs
	for _, m := range perfCount.FindAllStringSubmatch(out, -1) {
		v, _ := strconv.Atoi(m[2])
		n = append(n, v)
	}
	if len(n) != 4 {
		b.Fatalf("perfdhcp: %v\n%s", err, out)
	}
	lost := max(n[0]-n[1]+n[2]-n[3]-own, 0)
	done := float64(n[3]) / measureFor
	b.Logf("%d/s: %.0f/s asked, %.0f/s done, %d lost by the server, %d by perfdhcp", rate, float64(n[0])/measureFor, done, lost, own)
	return done, lost == 0 && n[0] > 9*rate*measureFor/10
}

// overflows counts the packets that the clients' sockets had no room for.
func (l *lab) overflows() int {
	l.t.Helper()
	out, err := l.run("cat", "/proc/net/snmp")
	if err != nil {
		l.t.Fatal(err)
	}
	var names, values []string
	for line := range strings.Lines(out) {
		if words := strings.Fields(line); words[0] == "Udp:" {
			names, values = values, words
		}
	}
	n, err := strconv.Atoi(values[slices.Index(names, "RcvbufErrors")])
	if err != nil {
		l.t.Fatal(err)
	}
	return n
}
