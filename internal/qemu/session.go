package qemu

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// Exit statuses that are not the program's own.
const (
	StatusDied     = 123 // the guest's kernel panicked, or the guest ended without a word
	StatusTimeout  = 124 // the time limit ran out
	StatusFailed   = 125 // Rambox, QEMU or the boot failed before the program ran
	StatusNoExec   = 126 // the program could not be executed
	StatusNotFound = 127 // the program was not found
	statusSignal   = 128 // + N: killed by signal N
)

// Reasons, the machine-readable kinds of an end.
const (
	ReasonExit        = "exit"        // the program exited
	ReasonSignal      = "signal"      // a signal killed the program
	ReasonPanic       = "panic"       // the guest's kernel panicked
	ReasonDied        = "died"        // the guest ended without a word
	ReasonTimeout     = "timeout"     // the time limit ran out
	ReasonQEMU        = "qemu"        // QEMU was not found, did not start or failed before the guest was up
	ReasonBoot        = "boot"        // the guest's init says that the boot failed
	ReasonNoExec      = "noexec"      // the program could not be executed
	ReasonNotFound    = "notfound"    // the program was not found
	ReasonInterrupted = "interrupted" // a signal to us, or the end of the context
)

// Session is one run of a guest with Rambox's init in it.
type Session struct {
	Machine Machine    // Ports is set by Run
	Initrd  *os.File   // the initramfs in an open file (MemFile); nil: Machine.Initrd
	GDB     *GDBServer // where the machine waits for a debugger before it boots; nil: it does not
	Nonce   string     // what the image has in /etc/rambox/nonce; "": status lines on the console are not looked for
	Stdin   io.Reader  // the program's standard input; nil is empty. A Read that is under way when Run returns goes on.
	Stdout  io.Writer  // nil discards. It may be slow: nothing is lost. Gets the console's text when the guest has no virtio-serial.
	Stderr  io.Writer

	// TTY: Stdin and Stdout are a terminal in raw mode. Without it, and when the console is all the program has,
	// the terminal's \r\n become \n again.
	TTY        bool
	Timeout    time.Duration    // from the start of QEMU to the program's end; 0 is none
	Timings    bool             // the guest has been told, by rambox.timings, to report its boot
	ConsoleLog io.Writer        // the console as it comes, less what is ours and the program's; nil is nobody
	Winsize    <-chan Winsize   // passed on to the program's terminal
	Signals    <-chan os.Signal // passed on to the program; before it runs, HUP, INT, QUIT and TERM end Run, as do the second INT and, with TTY, any of them
}

// Winsize is the size of a terminal in characters.
type Winsize struct{ Rows, Cols uint16 }

// Result says how a session ended.
type Result struct {
	Status  int    `json:"status"`            // the exit status for rambox run
	Reason  string `json:"reason"`            // one of the Reason constants
	Signal  int    `json:"signal,omitempty"`  // with ReasonSignal: what killed the program; with ReasonInterrupted: what ended Run
	OOM     bool   `json:"oom,omitempty"`     // the signal came from the guest's OOM killer
	Message string `json:"message,omitempty"` // one line for a person; empty when the program exited

	Durations   Durations `json:"durations"`
	ConsoleTail string    `json:"console_tail"` // the last 64 KiB of the console
	Timings     *Timings  `json:"-"`            // of the boot, with Session.Timings
}

// Durations are wall times in nanoseconds; 0 where it never came to that.
type Durations struct {
	Boot     time.Duration `json:"boot_ns"`     // Run's call to the guest's init being up
	Program  time.Duration `json:"program_ns"`  // the program's start to its end, as seen from the host
	Shutdown time.Duration `json:"shutdown_ns"` // the program's end to QEMU's
	Total    time.Duration `json:"total_ns"`    // all of Run
}

// Ok reports whether the program ran to its own end, whatever its status.
func (r Result) Ok() bool { return r.Reason == ReasonExit || r.Reason == ReasonSignal }

// NewNonce returns random text for the image's /etc/rambox/nonce.
func NewNonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// verdictResult is the result of a program that the guest's init has reported on.
func verdictResult(st status) Result {
	switch st.kind {
	case "exit":
		return Result{Status: st.n, Reason: ReasonExit}
	case "signal":
		message := fmt.Sprintf("the program was killed by signal %d (%v)", st.n, syscall.Signal(st.n))
		if st.oom {
			message = fmt.Sprintf("the guest ran out of memory: its kernel killed the program (signal %d)", st.n)
		}
		return Result{Status: statusSignal + st.n, Reason: ReasonSignal, Signal: st.n, OOM: st.oom, Message: message}
	case "noexec":
		return Result{Status: StatusNoExec, Reason: ReasonNoExec, Message: st.message}
	case "notfound":
		return Result{Status: StatusNotFound, Reason: ReasonNotFound, Message: st.message}
	default:
		return Result{Status: StatusFailed, Reason: ReasonBoot, Message: "the boot failed: " + st.message}
	}
}
