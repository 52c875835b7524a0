package timings

import (
	"encoding/json"
	"io"
	"time"
)

// JSON writes everything that is known: the bars of the chart in seconds since power-on, and what they were made from, in
// the time of each source.
func (t Timeline) JSON(w io.Writer) error {
	h := t.host
	out := struct {
		Version int       `json:"version"`
		Release string    `json:"release"`
		Accel   string    `json:"accelerator"`
		Failure string    `json:"failure,omitempty"`
		Total   Seconds   `json:"total"`
		Program *Seconds  `json:"program,omitempty"`
		PowerOn time.Time `json:"power_on"`
		Host    struct {
			Arrived Seconds `json:"report"`
			Gone    Seconds `json:"end"`
		} `json:"host"`
		Shift  Seconds `json:"kernel_clock_zero"`
		Kernel Marks   `json:"kernel"`
		Guest  Guest   `json:"guest"`
		Bars   []Bar   `json:"bars"`
	}{
		Version: version, Release: t.Release, Accel: t.Accel, Failure: t.Failure, Total: t.Total, Program: t.Program,
		PowerOn: h.PowerOn.UTC(), Shift: t.shift, Kernel: t.marks, Guest: t.guest, Bars: t.Bars,
	}
	out.Host.Arrived, out.Host.Gone = Seconds(h.Arrived.Sub(h.PowerOn)), Seconds(h.Gone.Sub(h.PowerOn))
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	return e.Encode(out)
}
