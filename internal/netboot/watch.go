package netboot

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Watch follows what machines do: it gets the events of DHCP, the transfers of
// files and the machines' own reports. It is safe for concurrent use.
type Watch struct {
	Machines *Machines
	Journal  *Journal
	Log      *slog.Logger
	Proxy    bool // another server gives out the addresses

	// DHCP are the figures of the server; nil: there is none.
	DHCP *Counters

	events    [eventKinds]atomic.Uint64
	transfers [2][2]transferCount // tftp and http, complete and not
	reports   [len(reportStates)]atomic.Uint64
	loads     [2]atomic.Uint64 // of the configuration: good and bad
	unstored  atomic.Uint64    // changes of state that are not in the store

	queue chan Batch // of states that are to be stored

	mu    sync.Mutex // over limit
	limit limiter
}

type transferCount struct{ number, bytes atomic.Uint64 }

// eventKinds is the number of kinds of events.
const eventKinds = int(EventStore) + 1

// watchQueue is how many changes of state wait for the store. One that finds no
// place is not stored: the machine's next one will be.
const watchQueue = 1024

// NewWatch returns a Watch that stores nothing until Run.
func NewWatch(m *Machines, j *Journal, log *slog.Logger) *Watch {
	return &Watch{Machines: m, Journal: j, Log: log, queue: make(chan Batch, watchQueue), limit: limiter{Limit: Limit{PerClient: reportRate}}}
}

// Run stores changes of state until ctx ends, and then those that wait.
func (w *Watch) Run(ctx context.Context) {
	for {
		select {
		case b := <-w.queue:
			w.Journal.Add(b, nil)
		case <-ctx.Done():
			for {
				select {
				case b := <-w.queue:
					w.Journal.Add(b, nil)
				default:
					return
				}
			}
		}
	}
}

// store has a batch stored some time. It never waits: the journal itself calls
// Event.
func (w *Watch) store(b Batch) {
	if b.Empty() {
		return
	}
	select {
	case w.queue <- b:
	default:
		w.unstored.Add(1)
	}
}

// Event takes an event of DHCP.
func (w *Watch) Event(e Event) {
	if int(e.Kind) < len(w.events) {
		w.events[e.Kind].Add(1)
	}
	w.log(e)
	if e.Client == nil || e.Kind != EventSeen && e.Kind != EventLeased {
		return
	}
	now, firmware := time.Now(), e.Client.PXE || e.Client.HTTPBoot || e.Client.IPXE
	if w.Proxy && e.Kind == EventSeen && e.Addr.IsValid() {
		w.store(w.Machines.Leased(now, *e.Client, e.Client.Hostname, e.Addr))
	}
	// Who has loaded and asks without being firmware is the system.
	if s, ok := w.Machines.Lookup(e.Client.MAC); ok && s.State == Loading && !firmware {
		w.store(w.Machines.Set(now, *e.Client, Booted, nil))
	}
}

func (w *Watch) log(e Event) {
	level := slog.LevelInfo
	switch e.Kind {
	case EventSeen, EventOffered:
		level = slog.LevelDebug
	case EventDeclined, EventConflict, EventNoAddress, EventOtherServer, EventLimited:
		level = slog.LevelWarn
	case EventStore:
		level = slog.LevelError
	}
	var args []any
	if e.Client != nil {
		args = append(args, "mac", e.Client.MAC.String())
	}
	if e.Addr.IsValid() {
		args = append(args, "addr", e.Addr)
	}
	if e.Text != "" {
		args = append(args, "text", e.Text)
	}
	message := "DHCP: " + e.Kind.String()
	if e.Kind == EventOtherServer {
		message = "DHCP: another server answers on this link: machines get addresses of either (one of the two should be a proxy)"
	}
	w.Log.Log(context.Background(), level, message, append(args, "link", e.Link)...)
}

// Transfer takes the end of a transfer.
func (w *Watch) Transfer(t Transfer) {
	protocol, failed := 0, 0
	if t.Protocol == "http" {
		protocol = 1
	}
	if t.Err != nil {
		failed = 1
	}
	count := &w.transfers[protocol][failed]
	count.number.Add(1)
	count.bytes.Add(uint64(max(t.Sent, 0)))
	if t.Err != nil || !isLoading(t.Name) {
		return
	}
	if w.Proxy {
		w.introduce(t)
	}
	if s, ok := w.Machines.At(t.Client); ok && (s.State == Seen || s.State == Leased) {
		w.store(w.Machines.Set(time.Now(), Client{MAC: s.MAC}, Loading, nil))
	}
}

// introduce notes a machine that says who it is as it asks for its script: one of
// another network, whose DHCP nobody here hears.
func (w *Watch) introduce(t Transfer) {
	c, ok := ipxeScriptName(t.Name, t.Client)
	if !ok {
		c, ok = pxelinuxName(t.Name, t.Client)
		s, _ := w.Machines.Lookup(c.MAC)
		c.Arch = s.Arch // PXELINUX does not say
	}
	if !ok {
		return
	}
	c.PXE = true
	now := time.Now()
	w.Machines.Seen(now, c)
	w.store(w.Machines.Leased(now, c, "", t.Client))
}

// isLoading tells whether somebody who loads a file is about to start a kernel.
func isLoading(name string) bool {
	name = strings.TrimPrefix(name, "/")
	return strings.HasPrefix(name, "ipxe/") || strings.HasPrefix(name, "uki/") || strings.HasPrefix(name, "rambox/") || strings.Contains(name, "pxelinux.cfg/")
}

// Reloaded counts a reload of the configuration.
func (w *Watch) Reloaded(err error) {
	i := 0
	if err != nil {
		i = 1
	}
	w.loads[i].Add(1)
}
