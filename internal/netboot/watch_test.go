package netboot

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// bootJSON is what init reports of a boot.
const bootJSON = `{"version":1,"release":"6.1.0","init":0.5,"now":0.7,"stages":[{"name":"early","start":0.5,"end":0.52}],"waits":[],"modules":[]}`

func reportText(state, detail, hostname string) string {
	return `{"state":"` + state + `","detail":"` + detail + `","hostname":"` + hostname + `","boot":` + bootJSON + `}` + "\n"
}

// newTestWatch has one machine, 02:00:00:00:00:01 with 127.0.0.1.
func newTestWatch(t *testing.T) (*Watch, *Memory, Client) {
	t.Helper()
	store := &Memory{}
	machines, err := LoadMachines(store)
	if err != nil {
		t.Fatal(err)
	}
	journal := NewJournal(store)
	t.Cleanup(journal.Close)
	w := NewWatch(machines, journal, slog.New(slog.DiscardHandler))
	c := Client{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, PXE: true, Arch: ArchEFI64}
	machines.Seen(time.Now(), c)
	machines.Leased(time.Now(), c, "n1", netip.MustParseAddr("127.0.0.1"))
	return w, store, c
}

func TestReport(t *testing.T) {
	for _, tc := range []struct {
		name, method, body string
		status             int
		state              State
		detail             string
	}{
		{"running", "POST", reportText("running", "/app", "n1"), 204, Running, "/app"},
		{"ended", "POST", reportText("ended", "exit 0", "n1"), 204, Booted, "exit 0"},
		{"ended badly", "POST", reportText("ended", "exit 7", "n1"), 204, Crashed, "exit 7"},
		{"failed", "POST", reportText("failed", "a\\nb\\u001b[31m", "n1"), 204, Crashed, "a?b?[31m"},
		{"GET", "GET", "", 405, Leased, ""},
		{"nothing", "POST", "", 400, Leased, ""},
		{"not JSON", "POST", "running", 400, Leased, ""},
		{"unknown field", "POST", `{"state":"running","mac":"02:00:00:00:00:02","boot":` + bootJSON + `}`, 400, Leased, ""},
		{"unknown state", "POST", reportText("happy", "", ""), 400, Leased, ""},
		{"no boot", "POST", `{"state":"running"}`, 400, Leased, ""},
		{"two reports", "POST", reportText("running", "", "") + reportText("failed", "", ""), 400, Leased, ""},
		{"too long", "POST", reportText("running", strings.Repeat("x", maxReport), ""), 413, Leased, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, store, c := newTestWatch(t)
			server := httptest.NewServer(http.HandlerFunc(w.Report))
			defer server.Close()
			request, err := http.NewRequestWithContext(t.Context(), tc.method, server.URL+ReportPath+"/02:00:00:00:00:09", strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			s, _ := w.Machines.Lookup(c.MAC)
			if answer.StatusCode != tc.status || s.State != tc.state || s.Summary().Detail != tc.detail {
				t.Errorf("%d, state %s, detail %q, want %d, %s, %q", answer.StatusCode, s.State, s.Summary().Detail, tc.status, tc.state, tc.detail)
			}
			stored := Status{}
			if err := store.Nodes(func(s Status) bool { stored = s; return false }); err != nil {
				t.Fatal(err)
			}
			if tc.status == 204 && (stored.State != tc.state || string(stored.Summary().Boot) != bootJSON) {
				t.Errorf("stored: %s, %s, want what was reported", stored.State, stored.Summary().Boot)
			}
		})
	}
}

func TestReportOfWhom(t *testing.T) {
	w, _, c := newTestWatch(t)
	other := Client{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}}
	w.Machines.Seen(time.Now(), other)
	stranger := netip.MustParseAddr("192.0.2.1")
	for _, tc := range []struct {
		name  string
		proxy bool
		from  netip.Addr
		want  net.HardwareAddr
	}{
		{"the address counts, not what it says", false, netip.MustParseAddr("127.0.0.1"), c.MAC},
		{"also for a proxy", true, netip.MustParseAddr("127.0.0.1"), c.MAC},
		{"nobody", false, stranger, nil},
		{"a proxy does not know the address", true, stranger, other.MAC},
	} {
		w.Proxy = tc.proxy
		s, _ := w.reporter(tc.from, "/"+other.MAC.String())
		if s.MAC.String() != tc.want.String() {
			t.Errorf("%s: %s, want %s", tc.name, s.MAC, tc.want)
		}
	}
	w.Machines.Leased(time.Now().Add(time.Second), other, "", netip.MustParseAddr("127.0.0.1"))
	if s, _ := w.reporter(netip.MustParseAddr("127.0.0.1"), ""); s.MAC.String() != other.MAC.String() {
		t.Errorf("an address that another has had: %s, want %s", s.MAC, other.MAC)
	}
}

func TestReportRate(t *testing.T) {
	w, _, _ := newTestWatch(t)
	last := 0
	for range reportRate + 1 {
		rw := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), "POST", ReportPath, strings.NewReader("x"))
		r.RemoteAddr = "127.0.0.1:1"
		w.Report(rw, r)
		last = rw.Code
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("report %d: %d, want %d", reportRate+1, last, http.StatusTooManyRequests)
	}
}

func TestWatchStates(t *testing.T) {
	w, _, c := newTestWatch(t)
	addr := netip.MustParseAddr("127.0.0.1")
	system := Client{MAC: c.MAC}
	for _, step := range []struct {
		name string
		do   func()
		want State
	}{
		{"a boot program", func() { w.Transfer(Transfer{Protocol: "tftp", Client: addr, Name: "ipxe.efi"}) }, Leased},
		{"a file that is not there", func() { w.Transfer(Transfer{Client: addr, Name: "pxelinux.cfg/01-x", Err: os.ErrNotExist}) }, Leased},
		{"the script", func() { w.Transfer(Transfer{Protocol: "http", Client: addr, Name: "ipxe/mac=x"}) }, Loading},
		{"the firmware again", func() { w.Event(Event{Kind: EventLeased, Client: &c, Addr: addr}) }, Loading},
		{"the system", func() { w.Event(Event{Kind: EventSeen, Client: &system}) }, Booted},
		{"a root image", func() { w.Transfer(Transfer{Protocol: "http", Client: addr, Name: "/rambox/0/root"}) }, Booted},
		{"the next boot", func() { w.Machines.Seen(time.Now(), c) }, Seen},
	} {
		step.do()
		if s, _ := w.Machines.Lookup(c.MAC); s.State != step.want {
			t.Errorf("after %s: %s, want %s", step.name, s.State, step.want)
		}
	}
}

// TestMetrics holds every line to the text format, and the names to their golden file.
func TestMetrics(t *testing.T) {
	w, _, _ := newTestWatch(t)
	w.DHCP = &Counters{}
	w.Transfer(Transfer{Protocol: "http", Sent: 7})
	var b bytes.Buffer
	if err := w.Metrics(&b); err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z]+="[a-z ]+"(,[a-z]+="[a-z ]+")*\})? [0-9]+)$`)
	for l := range strings.Lines(b.String()) {
		if !line.MatchString(strings.TrimSuffix(l, "\n")) {
			t.Errorf("no line of the format: %q", l)
		}
	}
	want, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("Metrics (-testdata/metrics.txt +got):\n%s", diff)
	}
}

func TestStatusAccess(t *testing.T) {
	w, _, _ := newTestWatch(t)
	mux := http.NewServeMux()
	w.Handle(mux, func(a netip.Addr) bool { return a == netip.MustParseAddr("10.0.0.1") })
	for from, want := range map[string]int{"10.0.0.1:5": 200, "10.0.0.2:5": 403} {
		rw := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/status", nil)
		r.RemoteAddr = from
		mux.ServeHTTP(rw, r)
		if rw.Code != want {
			t.Errorf("/status for %s: %d, want %d", from, rw.Code, want)
		}
		var list []MachineStatus
		if err := json.Unmarshal(rw.Body.Bytes(), &list); want == 200 && (err != nil || len(list) != 1 || list[0].State != "leased" || list[0].Arch != "x64") {
			t.Errorf("/status = %s, %v", rw.Body, err)
		}
	}
}

func FuzzParseReport(f *testing.F) {
	f.Add([]byte(reportText("running", "/app", "n1")))
	f.Add([]byte(reportText("failed", "mount: no such device", "")))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseReport(b)
		if err != nil {
			return
		}
		for _, c := range r.Detail + r.Hostname {
			if c < ' ' || c >= 0x7f {
				t.Errorf("%q: has %q", r, c)
			}
		}
		kept, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if again, ok := (Status{Timings: kept}).LastReport(); !ok || again.State != r.State {
			t.Errorf("stored report %s is not read again", kept)
		}
	})
}

// TestIntroduce: a machine of another network, whose DHCP a proxy does not hear,
// is known by the script that it asks for, and may report then.
func TestIntroduce(t *testing.T) {
	const mac = "02:00:00:00:00:09"
	addr := netip.MustParseAddr("10.8.0.7")
	for _, tc := range []struct {
		name, script string
		proxy        bool
		want         Status
	}{
		{"iPXE", "ipxe/mac=" + mac + ",sysuuid=00112233-4455-6677-8899-aabbccddeeff,arch=x86_64", true,
			Status{Arch: ArchEFI64, UUID: "33221100-5544-7766-8899-aabbccddeeff", Addr: addr, State: Loading}},
		{"PXELINUX", "pxelinux.cfg/01-02-00-00-00-00-09", true, Status{Addr: addr, State: Loading}},
		{"PXELINUX that does not say who it is", "pxelinux.cfg/default", true, Status{}},
		{"where we give out the addresses", "ipxe/mac=" + mac, false, Status{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, _, _ := newTestWatch(t)
			w.Proxy = tc.proxy
			w.Transfer(Transfer{Protocol: "http", Client: addr, Name: tc.script})
			hw, err := net.ParseMAC(mac)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := w.Machines.Lookup(hw)
			got.MAC, got.Since, got.Last = nil, time.Time{}, time.Time{} // only what was said
			if diff := cmp.Diff(tc.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("the machine (-want +got):\n%s", diff)
			}
		})
	}
}
