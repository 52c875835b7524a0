//go:build linux

package netboot_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rambox/internal/vmtest"
)

// clients is how many machines the benchmark has.
const clients = 20000

var perfCount = regexp.MustCompile(`(sent|received) packets: (\d+)`)

// BenchmarkExchanges finds the highest rate of four-way exchanges at which
// nobody loses one, beside dnsmasq and Kea on the same link, with their leases
// on the same disk and, which is unfair to us, without.
func BenchmarkExchanges(b *testing.B) {
	fmt.Print(vmtest.Command(b, "dpkg-query", "-W", "-f", "${Package}: ${Version}\n", "dnsmasq-base", "kea-dhcp4-server"))
	for _, server := range []struct {
		name  string
		start func(*lab) (stop func())
	}{
		{"dnsmasq", func(l *lab) func() { return l.dnsmasqForMany() }},
		{"dnsmasq without lease file", func(l *lab) func() { return l.dnsmasqForMany("--leasefile-ro") }},
		{"Kea", func(l *lab) func() { return l.kea(true) }},
		{"Kea without lease file", func(l *lab) func() { return l.kea(false) }},
		{"rambox", func(l *lab) func() {
			c := config(200 * 256)
			c.Limit.PerClient = 1 << 30
			p := l.serve(c, filepath.Join(l.t.TempDir(), "leases.db"))
			return func() { p.ends() }
		}},
	} {
		b.Run(server.name, func(b *testing.B) {
			for b.Loop() {
				reportRates(b, server.start)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// dnsmasqForMany has the pool, the options and the limits of config(200 * 256).
func (l *lab) dnsmasqForMany(more ...string) (stop func()) {
	return l.dnsmasq(l.server, "s0", append([]string{"--dhcp-range=10.9.1.0,10.9.200.255,255.255.0.0,1h", "--dhcp-option=3,10.9.0.1",
		"--domain=example.org", "--dhcp-lease-max=60000", "--quiet-dhcp", "--dhcp-authoritative"}, more...)...)
}

// keaConfig is the same for Kea. Its leases are in memory, and in a file where
// persist says so.
const keaConfig = `{"Dhcp4": {
	"interfaces-config": {"interfaces": ["s0"]},
	"lease-database": {"type": "memfile", "persist": %t, "name": %q, "lfc-interval": 0},
	"valid-lifetime": 3600, "authoritative": true,
	"subnet4": [{"id": 1, "subnet": "10.9.0.0/16", "pools": [{"pool": "10.9.1.0 - 10.9.200.255"}], "option-data": [
		{"name": "routers", "data": "10.9.0.1"}, {"name": "domain-name-servers", "data": "10.9.0.1"},
		{"name": "domain-name", "data": "example.org"}]}],
	"loggers": [{"name": "kea-dhcp4", "severity": "WARN", "output_options": [{"output": "stdout"}]}]
}}`

// kea serves on s0. Debian's AppArmor profile confines the program, by its path,
// to its own directories; a copy may write to the test's.
func (l *lab) kea(persist bool) (stop func()) {
	l.t.Helper()
	dir := l.t.TempDir()
	vmtest.Copy(l.t, "/usr/sbin/kea-dhcp4", dir, "kea-dhcp4")
	conf := l.write("kea.conf", fmt.Sprintf(keaConfig, persist, filepath.Join(dir, "leases.csv")))
	return l.server.Start("env", "KEA_PIDFILE_DIR="+dir, "KEA_LOCKFILE_DIR=none", filepath.Join(dir, "kea-dhcp4"), "-c", conf)
}

// verdict is how a rate went.
type verdict int

const (
	kept    verdict = iota // nobody lost anything
	lost                   // the server did
	limited                // perfdhcp did, or could not ask so often
)

// reportRates looks for the highest rate without a loss, to a tenth, each on a
// fresh server. Where perfdhcp is the limit nothing can be said of the server
// but that it lost none, and the search is over.
func reportRates(b *testing.B, start func(*lab) func()) {
	best := 0.0
	low, high := 0, 0
	for rate := 500; high == 0 || high-low > low/10; {
		done, how := measure(b, start, rate)
		if how == limited {
			b.ReportMetric(done, "exchanges/s-limit-of-perfdhcp")
			break
		}
		if how == kept {
			low, best = rate, max(best, done)
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
	b.ReportMetric(best, "exchanges/s")
}

// measureFor is how long a rate is held, in seconds.
const measureFor = 5

// measure has perfdhcp do exchanges, and returns how many were done in a second
// and how it went. What perfdhcp's own socket has dropped, since it had no CPU
// in time, is not the server's loss.
func measure(b *testing.B, start func(*lab) func(), rate int) (float64, verdict) {
	l := newLab(b, 1)
	l.clients.IP("addr", "add", "10.9.0.2/16", "dev", "c0")
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
	missing := max(n[0]-n[1]+n[2]-n[3]-own, 0)
	done := float64(n[3]) / measureFor
	b.Logf("%d/s: %.0f/s asked, %.0f/s done, %d lost by the server, %d by perfdhcp", rate, float64(n[0])/measureFor, done, missing, own)
	switch {
	case missing > 0:
		return done, lost
	case own > 0 || n[0] <= 9*rate*measureFor/10:
		return done, limited
	}
	return done, kept
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
