package netcfg

// EventKind is what happened.
type EventKind uint8

// The kinds of events.
const (
	// Configured: the link has an address, or the one it has was renewed.
	Configured EventKind = iota
	// Lost: the link's lease has ended and its address is gone.
	Lost
	// Settled comes once: nobody need wait for the network any more. Err says
	// what is missing.
	Settled
)

// Event is what Run tells its caller.
type Event struct {
	Kind   EventKind
	Link   string // "eth0"; "" for Settled
	Config Config // of Configured and Lost
	Err    error  // of Settled
}

// Command is what the caller can ask of Run.
type Command uint8

// The commands.
const (
	RenewNow   Command = iota // renew every lease, at once
	ReleaseAll                // give every lease back, remove what it brought, and end
)

// Options are what Run needs beside its plan.
type Options struct {
	// Dir is the root of etc/resolv.conf and run/net-<dev>.conf: "/".
	Dir string
	// Log takes one line without a newline.
	Log func(format string, args ...any)
	// Notify is called from Run's own goroutine and must not block.
	Notify func(Event)
	// Probed is closed when the modules of all devices present at boot have
	// been loaded. Before that, no link with a carrier does not mean that there
	// will be none. nil: they have been.
	Probed <-chan struct{}
	// Commands may be nil.
	Commands <-chan Command
}
