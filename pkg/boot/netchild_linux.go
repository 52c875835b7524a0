//go:build !nonet

package boot

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"

	"rambox/pkg/netcfg"
)

// netCommand is the main function of the names that have to do with the
// network. ok is false for any other.
func netCommand(name string, args []string) (status int, ok bool) {
	switch name {
	case netProcess:
		return runNetProcess(args), true
	case "renew_ip":
		return renewIP(args), true
	case reportProcess:
		return postReport(strings.Join(args, " ")), true
	}
	return 0, false
}

// runNetProcess keeps the machine on the network, as PID 1 has asked for by
// args, until SIGTERM. It parses what strangers send, so it holds few
// privileges, and its end is no more than a reason to start it again.
func runNetProcess(args []string) (status int) {
	log := openLog()
	// Else ps shows what was executed, /proc/self/exe. prctl would name this thread alone.
	os.WriteFile("/proc/self/comm", []byte(netProcess), 0)
	defer func() {
		if r := recover(); r != nil {
			log.Errorf("network: internal error: %v\n%s", r, debug.Stack())
			status = 2
		}
	}()
	ctx, cancel := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer cancel()
	signal.Ignore(unix.SIGHUP, unix.SIGPIPE) // PID 1 may be another program by now

	// PID 1 has warned of what is wrong with the parameters.
	plan, _ := netcfg.Parse(func(name string) []string {
		var values []string
		for _, a := range args {
			if n, v, _ := strings.Cut(a, "="); n == name {
				values = append(values, v)
			}
		}
		return values
	})
	plan.Hostname = os.Getenv("HOSTNAME")
	if err := dropPrivileges(); err != nil {
		log.Warnf("network: %v", err)
	}
	c := newControl(func(format string, a ...any) { log.Warnf("network: "+format, a...) })
	err := netcfg.Run(ctx, plan, netcfg.Options{
		Dir:      "/",
		Log:      func(format string, a ...any) { log.Infof(format, a...) },
		Notify:   func(e netcfg.Event) { report(e); c.heard(e) },
		Probed:   probed(),
		Commands: c.commands,
	})
	c.ended()
	if errors.Is(err, netcfg.ErrNoNetwork) {
		report(netcfg.Event{Kind: netcfg.Settled, Err: err})
		return 0
	}
	if err != nil {
		log.Errorf("network: %v", err)
		return 1
	}
	if ctx.Err() != nil {
		return 1 // by a signal, which need not be PID 1's
	}
	return 0
}

// probed is closed when PID 1 closes standard input: it has looked for the
// drivers of all devices, or has become another program.
func probed() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		readLines(0, func(string) {})
	}()
	return done
}

// report tells PID 1 of an event. One that does not listen has become another
// program.
func report(e netcfg.Event) {
	words := []string{"settled"}
	switch {
	case e.Kind == netcfg.Configured:
		words = []string{"configured", e.Link, e.Config.Hostname}
	case e.Kind != netcfg.Settled:
		return
	case e.Err != nil:
		words = append(words, e.Err.Error())
	}
	writeAll(reportFD, []byte(oneLine(words)+"\n"))
}
