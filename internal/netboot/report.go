package netboot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"rambox/internal/timings"
)

// ReportPath is where machines tell how their boot goes. Behind it a machine
// puts its MAC address, which counts only where the server does not know the
// addresses: as a proxy.
const ReportPath = "/report"

const (
	maxReport   = 128 << 10 // bytes
	reportRate  = 30        // reports of one address in 10 s
	reportTexts = 256       // bytes of a detail
)

// reportStates are what a machine reports of itself.
var reportStates = [...]string{"running", "ended", "failed"}

// Report is what a machine's init tells (rambox.report=): its payload or next
// init runs, its payload has ended, or its boot has failed.
type Report struct {
	State    string          `json:"state"`    // running, ended or failed
	Detail   string          `json:"detail"`   // "/app", "exit 0", an error
	Hostname string          `json:"hostname"` // as the machine calls itself
	Boot     json.RawMessage `json:"boot"`     // see docs/image.md, boot.json
}

// ParseReport reads a report, which is from outside and is taken only as it
// should be.
func ParseReport(b []byte) (Report, error) {
	var r Report
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Report{}, fmt.Errorf("report: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Report{}, errors.New("report: more than one value")
	}
	if reportIndex(r.State) < 0 {
		return Report{}, fmt.Errorf("report: state %.20q: want running, ended or failed", r.State)
	}
	if _, err := timings.ParseGuest(r.Boot); err != nil {
		return Report{}, fmt.Errorf("report: boot: %w", err)
	}
	r.Detail = oneLine(r.Detail)
	r.Hostname = hostname([]byte(r.Hostname))
	return r, nil
}

func reportIndex(state string) int {
	for i, s := range reportStates {
		if s == state {
			return i
		}
	}
	return -1
}

// oneLine makes a text fit for a list on a terminal.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), reportTexts)]
}

// state is what a report makes of a machine.
func (r Report) state() State {
	switch {
	case r.State == "running":
		return Running
	case r.State == "ended" && r.Detail == "exit 0":
		return Booted
	}
	return Crashed
}

// Report takes a machine's report.
func (w *Watch) Report(rw http.ResponseWriter, r *http.Request) {
	status, err := w.report(rw, r)
	if err != nil {
		w.Log.Warn("report: refused", "client", r.RemoteAddr, "reason", err)
		http.Error(rw, err.Error(), status)
		return
	}
	rw.WriteHeader(http.StatusNoContent)
}

func (w *Watch) report(rw http.ResponseWriter, r *http.Request) (status int, err error) {
	if r.Method != http.MethodPost {
		rw.Header().Set("Allow", http.MethodPost)
		return http.StatusMethodNotAllowed, errors.New("a report is a POST")
	}
	from, now := remoteAddr(r), time.Now()
	w.mu.Lock()
	allowed, _ := w.limit.allow(now, from.String())
	w.mu.Unlock()
	if !allowed {
		return http.StatusTooManyRequests, errors.New("too many reports")
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxReport))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return http.StatusRequestEntityTooLarge, fmt.Errorf("report of more than %d bytes", maxReport)
	case err != nil:
		return http.StatusBadRequest, err
	}
	report, err := ParseReport(body)
	if err != nil {
		return http.StatusBadRequest, err
	}
	machine, ok := w.reporter(from, strings.TrimPrefix(r.URL.Path, ReportPath))
	if !ok {
		return http.StatusNotFound, fmt.Errorf("no machine is known to have %s", from)
	}
	kept, err := json.Marshal(report)
	if err != nil {
		return http.StatusInternalServerError, err
	}
	w.reports[reportIndex(report.State)].Add(1)
	w.Log.Info("machine: "+report.State, "mac", machine.MAC.String(), "addr", from, "hostname", report.Hostname, "detail", report.Detail)
	stored := make(chan error, 1)
	batch := w.Machines.Set(now, Client{MAC: machine.MAC}, report.state(), kept)
	if !w.Journal.Add(batch, func(_ []netip.Addr, err error) { stored <- err }) {
		return http.StatusServiceUnavailable, errors.New("the server is about to end")
	}
	if err := <-stored; err != nil {
		return http.StatusInternalServerError, errors.New("the report could not be stored")
	}
	return 0, nil
}

// reporter is the machine that a report is of: the one whose lease the address
// is. Where another server gives out the addresses, a machine that no address is
// known of may say who it is.
func (w *Watch) reporter(from netip.Addr, rest string) (Status, bool) {
	if s, ok := w.Machines.At(from); ok || !w.Proxy {
		return s, ok
	}
	mac, err := net.ParseMAC(strings.TrimPrefix(rest, "/"))
	if err != nil {
		return Status{}, false
	}
	return w.Machines.Lookup(mac)
}

// LastReport is what a machine has last reported; false: nothing.
func (s Status) LastReport() (Report, bool) {
	var r Report
	if len(s.Timings) == 0 || json.Unmarshal(s.Timings, &r) != nil {
		return Report{}, false
	}
	return r, true
}
