package timings

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// row is a line of the chart: a bar, or several that are shown together.
type row struct {
	Bar
	parts []Bar         // what is drawn in it
	sum   time.Duration // of the parts
}

// limit is how many rows of a kind there are at most. Only a guest that is not ours has many of the others.
func (k Kind) limit() int {
	switch k {
	case Modular:
		return 25
	case Waiting:
		return 12
	default:
		return 16
	}
}

// rows are the bars with the shortest of each kind put together in one row, at the place of the last of them, where there
// are too many.
func (t Timeline) rows() []row {
	hidden, last := map[int]bool{}, map[Kind]int{}
	for kind, of := range t.byKind() {
		last[kind] = slices.Max(of)
		if len(of) <= kind.limit() {
			continue
		}
		slices.SortStableFunc(of, func(i, j int) int {
			a, b := t.Bars[i], t.Bars[j]
			if a.Failed != b.Failed {
				return cmp.Compare(truth(b.Failed), truth(a.Failed))
			}
			return cmp.Compare(b.length(), a.length())
		})
		for _, i := range of[kind.limit()-1:] {
			hidden[i] = true
		}
	}
	var rows []row
	rest := map[Kind][]Bar{}
	for i, b := range t.Bars {
		if hidden[i] {
			rest[b.Kind] = append(rest[b.Kind], b)
		} else {
			rows = append(rows, row{Bar: b, parts: []Bar{b}, sum: b.length()})
		}
		if more := rest[b.Kind]; i == last[b.Kind] && len(more) > 0 {
			rows = append(rows, together(more))
		}
	}
	return rows
}

func (t Timeline) byKind() map[Kind][]int {
	of := map[Kind][]int{}
	for i, b := range t.Bars {
		of[b.Kind] = append(of[b.Kind], i)
	}
	return of
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

func together(bars []Bar) row {
	r := row{Bar: bars[0], parts: bars}
	r.Name = fmt.Sprintf("%d more", len(bars))
	r.Bytes = 0
	for _, b := range bars {
		r.End = max(r.End, b.End)
		r.Bytes += b.Bytes
		r.sum += b.length()
		r.Open = r.Open || b.Open
	}
	return r
}

// name is what stands before the row.
func (r row) name() string {
	switch {
	case r.Kind == Waiting && len(r.parts) > 1:
		return r.Name + " waits"
	case r.Kind == Waiting:
		return "wait for " + r.Name
	default:
		return r.Name
	}
}

// duration is what stands beside the row's bar.
func (r row) duration() string {
	if r.Open {
		return "> " + duration(r.sum)
	}
	return duration(r.sum)
}

// duration writes d with three digits or a little less: "0.24 ms", "281 ms", "3.17 s".
func duration(d time.Duration) string {
	ms, s := float64(d)/1e6, d.Seconds()
	switch {
	case ms < 1:
		return fmt.Sprintf("%.2f ms", ms)
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case s < 1:
		return fmt.Sprintf("%.0f ms", ms)
	case s < 10:
		return fmt.Sprintf("%.2f s", s)
	case s < 100:
		return fmt.Sprintf("%.1f s", s)
	default:
		return fmt.Sprintf("%.0f s", s)
	}
}

func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	default:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
}

// headline says how long it took: "3.45 s to the program, 3.61 s in all".
func (t Timeline) headline() string {
	switch {
	case t.Failure != "":
		return "failed after " + duration(time.Duration(t.guest.Now+t.shift))
	case t.Program != nil:
		return fmt.Sprintf("%s to the program, %s in all", duration(time.Duration(*t.Program)), duration(time.Duration(t.Total)))
	default:
		return duration(time.Duration(t.Total)) + " in all"
	}
}

// caption names the kernel and the accelerator.
func (t Timeline) caption() string {
	return strings.TrimSpace("Linux "+t.Release) + ", accelerator " + cmp.Or(t.Accel, "unknown")
}

// phases are the parts that follow one another, in one line.
func (t Timeline) phases() string {
	var words []string
	add := func(name string, d time.Duration) { words = append(words, name+" "+duration(d)) }
	init := time.Duration(-1)
	for _, b := range t.Bars {
		switch {
		case b.Kind == Kernel:
			add("kernel", b.length())
			end := t.guest.Now + t.shift
			if t.Program != nil {
				end = *t.Program
			}
			init = time.Duration(end - b.End)
		case b.Kind == Firmware || b.Kind == Payload || b.Kind == Shutdown:
			if b.Kind != Firmware && init >= 0 {
				add("init", init)
				init = -1
			}
			add(b.Name, b.length())
		}
	}
	if init >= 0 {
		add("init", init)
	}
	return strings.Join(words, " · ")
}
