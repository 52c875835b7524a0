package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"rambox/internal/qemu"
	"rambox/internal/timings"
)

// timingsOptions are the flags of rambox run for the chart of a boot.
type timingsOptions struct {
	timings string
}

func (x *timingsOptions) register(f *pflag.FlagSet) {
	f.StringVar(&x.timings, "timings", "", "write a chart of the boot: FILE.svg, FILE.json, or - for text on standard error")
}

// check finds what would only be found after the run.
func (x *timingsOptions) check() error {
	switch {
	case x.timings == "" || x.timings == "-":
		return nil
	case filepath.Ext(x.timings) != ".svg" && filepath.Ext(x.timings) != ".json":
		return fmt.Errorf("--timings %s: want FILE.svg, FILE.json or -", x.timings)
	}
	dir := filepath.Dir(x.timings)
	if info, err := os.Stat(dir); err != nil {
		return fmt.Errorf("--timings %s: %w", x.timings, err)
	} else if !info.IsDir() {
		return fmt.Errorf("--timings %s: %s is no directory", x.timings, dir)
	}
	return nil
}

// writeTimings makes the chart, if one is wanted, of a run that ended with err.
// A chart that cannot be made is said in one line. That is a failure of the run
// when there is no other, but not when the guest has sent nothing to make it of:
// the program's status counts for more.
func (x *timingsOptions) writeTimings(accel string, r qemu.Result, err error) error {
	if x.timings == "" {
		return err
	}
	failed := x.chart(accel, r)
	if failed == nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "rambox: --timings %s: %v\n", x.timings, failed)
	if err == nil && !errors.Is(failed, errNoTimings) {
		err = exitError(statusFailed)
	}
	return err
}

var errNoTimings = errors.New("no timings came")

func (x *timingsOptions) chart(accel string, r qemu.Result) error {
	got := r.Timings
	if got == nil || got.Arrived.IsZero() {
		return fmt.Errorf("%w: %s", errNoTimings, whyNoTimings(r))
	}
	guest, err := timings.ParseGuest(got.Report)
	if err != nil {
		return err
	}
	host := timings.Host{Accel: accel, PowerOn: got.PowerOn, Arrived: got.Arrived, Gone: got.Gone}
	if !r.Ok() {
		host.Failure = strings.TrimPrefix(cmp.Or(r.Message, r.Reason), "the boot failed: ")
	}
	line := timings.Merge(host, timings.KernelMarks(got.Records), guest)
	var b bytes.Buffer
	switch {
	case x.timings == "-":
		return line.Text(os.Stderr)
	case filepath.Ext(x.timings) == ".svg":
		err = line.SVG(&b)
	default:
		err = line.JSON(&b)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(x.timings, b.Bytes(), 0o644)
}

// whyNoTimings explains a run whose guest has reported nothing.
func whyNoTimings(r qemu.Result) string {
	switch {
	case r.Timings == nil:
		return "QEMU did not run"
	case r.Timings.Ports && r.Ok():
		return "the guest's init does not send them; take one that belongs to this rambox"
	case r.Timings.Ports:
		return "the guest ended before it could send them"
	case r.Durations.Boot > 0:
		return "the guest's kernel has no virtio-serial ports, which they need"
	default:
		return "the guest's init never came up"
	}
}
