package timings

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Host is what the machine that ran the guest knows.
type Host struct {
	Accel   string    // QEMU's accelerator: kvm, tcg
	PowerOn time.Time // QEMU was started
	Arrived time.Time // the guest's report arrived
	Gone    time.Time // QEMU had ended
	Failure string    // why the program never ran; "" when it did
}

// Kind is what a bar stands for.
type Kind string

// Kinds, in the order of the legend.
const (
	Firmware Kind = "firmware"
	Kernel   Kind = "kernel"
	Unpack   Kind = "unpacking the image"
	Init     Kind = "init"
	Net      Kind = "network"
	Waiting  Kind = "waiting"
	Modular  Kind = "module"
	Payload  Kind = "payload"
	Shutdown Kind = "shutdown"
)

// Timeline is a boot on one axis: time since QEMU was started.
type Timeline struct {
	Release string   // of the kernel
	Accel   string   // QEMU's accelerator
	Total   Seconds  // to the end of QEMU
	Program *Seconds // to the start of the payload; nil when it never came to that
	Failure string   // why; "" when all went well
	Bars    []Bar    // in the order of a chart from top to bottom

	host  Host
	marks Marks
	guest Guest
	shift Seconds // what is to be added to the kernel's time
}

// Bar is a piece of the time.
type Bar struct {
	Kind   Kind    `json:"kind"`
	Name   string  `json:"name"`
	Start  Seconds `json:"start"`
	End    Seconds `json:"end"`
	Open   bool    `json:"open,omitempty"`   // it was not over when the guest reported
	Bytes  int64   `json:"bytes,omitempty"`  // of a module
	Failed bool    `json:"failed,omitempty"` // the boot or the wait failed here
	Error  string  `json:"error,omitempty"`
}

// length is how long the bar is.
func (b Bar) length() time.Duration { return time.Duration(b.End - b.Start) }

// sub reports whether the bar is a detail of another: a wait or a module.
func (b Bar) sub() bool { return b.Kind == Waiting || b.Kind == Modular }

// Merge puts what the three know on one axis. The guest's clock starts where the firmware and the kernel's own unpacking
// end: as long after power-on as its report came later than the report's own time says.
func Merge(h Host, m Marks, g Guest) Timeline {
	t := Timeline{Release: g.Release, Accel: h.Accel, Failure: clean(h.Failure), host: h, marks: m, guest: g}
	if d := Seconds(h.Arrived.Sub(h.PowerOn)) - g.Now; d > 0 {
		t.shift = d
	}
	t.kernelBars()
	t.stageBars()
	reported := g.Now + t.shift
	t.Total = max(reported, Seconds(h.Gone.Sub(h.PowerOn)))
	last := reported
	if i := slices.IndexFunc(t.Bars, func(b Bar) bool { return b.Kind == Payload }); i >= 0 {
		start := t.Bars[i].Start
		t.Program, last = &start, t.Bars[i].End
	}
	if t.Total > last {
		t.Bars = append(t.Bars, Bar{Kind: Shutdown, Name: "shutdown", Start: last, End: t.Total})
	}
	return t
}

// kernelBars adds what precedes init's own report.
func (t *Timeline) kernelBars() {
	add := func(kind Kind, name string, start, end Seconds) {
		t.Bars = append(t.Bars, Bar{Kind: kind, Name: name, Start: start, End: end})
	}
	if t.shift > 0 {
		add(Firmware, "firmware", 0, t.shift)
	}
	up := t.guest.Init
	// The log's clock and the one that init reads differ by some milliseconds.
	if m := t.marks.RunInit; m != nil && *m < up {
		up = *m
	}
	add(Kernel, "kernel", t.shift, up+t.shift)
	if m := t.marks; m.Unpack != nil && m.Unpacked != nil {
		add(Unpack, "unpack image", *m.Unpack+t.shift, *m.Unpacked+t.shift)
	}
	if up < t.guest.Init {
		add(Init, "start of init", up+t.shift, t.guest.Init+t.shift)
	}
}

// stageBars adds init's stages, below each its waits and, in one place, the modules.
func (t *Timeline) stageBars() {
	stages := slices.Clone(t.guest.Stages)
	slices.SortStableFunc(stages, func(a, b Stage) int { return cmp.Compare(a.Start, b.Start) })
	below := map[int][]Bar{}
	for _, b := range t.waitBars() {
		i := waitStage(stages, b.Start-t.shift)
		below[i] = append(below[i], b)
	}
	home := moduleStage(stages)
	below[home] = append(below[home], t.moduleBars()...)
	failed := t.failedStage(stages)
	for i, s := range stages {
		b := t.bar(stageKind(s.Name), s.Name, s.Span)
		b.Failed, b.Error = i == failed || s.Error != "", s.Error
		if strings.Contains(t.Failure, s.Error) {
			b.Error = "" // the head of the chart says it
		}
		t.Bars = append(append(t.Bars, b), below[i]...)
	}
	t.Bars = append(t.Bars, below[-1]...)
}

// waitStage is the stage below which a wait is shown, or -1: the one that goes on when it begins; between two stages the network, if
// that goes on, else the one before.
func waitStage(stages []Stage, at Seconds) int {
	home, network := -1, -1
	for i, s := range stages {
		switch {
		case s.Start > at:
		case s.Name != "network":
			home = i
		case s.lasts(at):
			network = i
		}
	}
	if network >= 0 && (home < 0 || !stages[home].lasts(at)) {
		return network
	}
	return home
}

// lasts reports whether a span that has begun goes on.
func (s Span) lasts(at Seconds) bool { return s.End == nil || *s.End > at }

// moduleStage is the stage below which modules are shown, or -1.
func moduleStage(stages []Stage) int {
	return slices.IndexFunc(stages, func(s Stage) bool { return s.Name == "modules" })
}

// failedStage is the one in which the boot failed when none says so itself: the last that was begun. The network is one only if
// there is no other, because it goes on beside them.
func (t *Timeline) failedStage(stages []Stage) int {
	last := -1
	for i, s := range stages {
		switch {
		case s.Name != "network" && s.Error != "":
			return i
		case s.Name != "network" || last < 0:
			last = i
		}
	}
	if t.Failure == "" {
		return -1
	}
	return last
}

func stageKind(name string) Kind {
	switch name {
	case "network":
		return Net
	case "payload":
		return Payload
	default:
		return Init
	}
}

func (t *Timeline) waitBars() []Bar {
	var bars []Bar
	for _, w := range t.guest.Waits {
		b := t.bar(Waiting, w.For, w.Span)
		b.Failed, b.Error = w.Error != "", w.Error
		bars = append(bars, b)
	}
	return sorted(bars)
}

func (t *Timeline) moduleBars() []Bar {
	var bars []Bar
	for _, m := range t.guest.Modules {
		b := t.bar(Modular, m.Name, m.Span)
		b.Bytes = m.Bytes
		bars = append(bars, b)
	}
	return sorted(bars)
}

func sorted(bars []Bar) []Bar {
	slices.SortStableFunc(bars, func(a, b Bar) int { return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End)) })
	return bars
}

// bar places a span of the guest on the axis. One that is not over goes up to the report.
func (t *Timeline) bar(kind Kind, name string, s Span) Bar {
	b := Bar{Kind: kind, Name: name, Start: s.Start + t.shift, End: t.guest.Now + t.shift, Open: s.End == nil}
	if s.End != nil {
		b.End = *s.End + t.shift
	}
	return b
}
