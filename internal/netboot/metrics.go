package netboot

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// MachineStatus is a machine in the answer to /status.
type MachineStatus struct {
	MAC      string          `json:"mac"`
	UUID     string          `json:"uuid,omitempty"` // as dmidecode prints it
	Arch     string          `json:"arch"`
	Hostname string          `json:"hostname,omitempty"`
	Addr     netip.Addr      `json:"addr,omitzero"`
	State    string          `json:"state"`
	Since    time.Time       `json:"since"`
	Last     time.Time       `json:"last"`
	Detail   string          `json:"detail,omitempty"`
	Boot     json.RawMessage `json:"boot,omitempty"` // of the last boot that was reported
}

// Summary is what /status says of a machine.
func (s Status) Summary() MachineStatus {
	m := MachineStatus{
		MAC: s.MAC.String(), UUID: swapUUID(s.UUID), Arch: s.Arch.String(), Hostname: s.Hostname, Addr: s.Addr,
		State: s.State.String(), Since: s.Since, Last: s.Last,
	}
	if r, ok := s.LastReport(); ok {
		m.Boot = r.Boot
		if m.Hostname == "" {
			m.Hostname = r.Hostname
		}
		// What it said in an earlier boot is no news.
		if s.State >= Booted && r.state() == s.State {
			m.Detail = r.Detail
		}
	}
	return m
}

// Summaries are all machines, in order of their addresses and hardware
// addresses.
func (m *Machines) Summaries() []MachineStatus {
	all := []MachineStatus{}
	m.All(func(s Status) bool {
		all = append(all, s.Summary())
		return true
	})
	slices.SortFunc(all, func(a, b MachineStatus) int {
		if c := a.Addr.Compare(b.Addr); c != 0 {
			return c
		}
		return strings.Compare(a.MAC, b.MAC)
	})
	return all
}

// Handle adds /metrics and /status to a mux, for the addresses that may read
// them.
func (w *Watch) Handle(mux *http.ServeMux, may func(netip.Addr) bool) {
	guard := func(f func(io.Writer) error, kind string) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			if !may(remoteAddr(r)) {
				http.Error(rw, "only for this machine itself and the watchers of its configuration", http.StatusForbidden)
				return
			}
			rw.Header().Set("Content-Type", kind)
			if err := f(rw); err != nil {
				w.Log.Debug("HTTP: "+r.URL.Path, "client", r.RemoteAddr, "reason", err)
			}
		}
	}
	mux.HandleFunc("GET /metrics", guard(w.Metrics, "text/plain; version=0.0.4; charset=utf-8"))
	mux.HandleFunc("GET /status", guard(func(out io.Writer) error {
		return json.NewEncoder(out).Encode(w.Machines.Summaries())
	}, "application/json"))
}

// Metrics writes all figures in Prometheus' text format:
// https://prometheus.io/docs/instrumenting/exposition_formats/
func (w *Watch) Metrics(out io.Writer) error {
	var b strings.Builder
	family := func(name, kind, help string) func(labels string, value uint64) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %[1]s %[3]s\n", name, help, kind)
		return func(labels string, value uint64) {
			if labels != "" {
				labels = "{" + labels + "}"
			}
			fmt.Fprintf(&b, "%s%s %d\n", name, labels, value)
		}
	}
	if w.DHCP != nil {
		add := family("rambox_dhcp_packets_total", "counter", "Packets of DHCP: received, of them malformed, sent, and answers that the kernel did not take.")
		add(`kind="received"`, w.DHCP.Received.Load())
		add(`kind="malformed"`, w.DHCP.Malformed.Load())
		add(`kind="sent"`, w.DHCP.Sent.Load())
		add(`kind="lost"`, w.DHCP.Lost.Load())
	}
	add := family("rambox_dhcp_events_total", "counter", "What DHCP clients did or were told.")
	for i := range w.events {
		add(fmt.Sprintf("kind=%q", EventKind(i)), w.events[i].Load())
	}
	results := [2]string{"complete", "failed"}
	protocols := [2]string{"tftp", "http"}
	number := family("rambox_transfers_total", "counter", "Files that were asked for.")
	for i, protocol := range protocols {
		for j, result := range results {
			number(fmt.Sprintf("protocol=%q,result=%q", protocol, result), w.transfers[i][j].number.Load())
		}
	}
	sent := family("rambox_transfer_bytes_total", "counter", "Bytes of files that were sent.")
	for i, protocol := range protocols {
		sent(fmt.Sprintf("protocol=%q", protocol), w.transfers[i][0].bytes.Load()+w.transfers[i][1].bytes.Load())
	}
	add = family("rambox_reports_total", "counter", "Reports of machines about their boot.")
	for i, state := range reportStates {
		add(fmt.Sprintf("state=%q", state), w.reports[i].Load())
	}
	add = family("rambox_config_reloads_total", "counter", "Reloads of the configuration.")
	for i, result := range [2]string{"good", "bad"} {
		add(fmt.Sprintf("result=%q", result), w.loads[i].Load())
	}
	add = family("rambox_states_unstored_total", "counter", "Changes of machines' states that the disk was too slow for.")
	add("", w.unstored.Load())
	var states [Crashed + 1]uint64
	w.Machines.All(func(s Status) bool {
		states[min(s.State, Crashed)]++
		return true
	})
	add = family("rambox_machines", "gauge", "Machines by the state of their last boot.")
	for i, n := range states {
		add(fmt.Sprintf("state=%q", State(i)), n)
	}
	_, err := io.WriteString(out, b.String())
	return err
}
