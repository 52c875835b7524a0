package timings

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Columns of the chart as text; with the gaps they are 80.
const (
	nameColumn = 27
	barColumn  = 28
)

// Text writes the chart for a terminal of 80 columns. Characters other than those of guests' texts are ASCII.
func (t Timeline) Text(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%s\n", t.headline(), t.caption())
	if t.Failure != "" {
		fmt.Fprintf(&b, "%s\n", t.Failure)
	}
	fmt.Fprintf(&b, "\n%9s  %9s  %s\n", "at ms", "took", "what")
	for _, r := range t.rows() {
		name := r.name()
		if r.sub() {
			name = "  " + name
		}
		line := fmt.Sprintf("%9.1f  %9s  %s |%s|", float64(r.Start)/1e6, r.duration(), column(name), t.ascii(r))
		b.WriteString(line + "\n")
		if r.Error != "" {
			fmt.Fprintf(&b, "%22s  %s\n", "", r.Error)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// column makes text as wide as the column of names, in characters.
func column(s string) string {
	n := utf8.RuneCountInString(s)
	if n > nameColumn {
		return string([]rune(s)[:nameColumn-3]) + "..."
	}
	return s + strings.Repeat(" ", nameColumn-n)
}

// ascii draws the row's bar: # for work, - for waits, ! for what failed.
func (t Timeline) ascii(r row) string {
	cells := bytes.Repeat([]byte(" "), barColumn)
	place := func(at Seconds) int {
		if t.Total <= 0 {
			return 0
		}
		return min(barColumn-1, int(time.Duration(at)*barColumn/time.Duration(t.Total)))
	}
	for _, b := range r.parts {
		fill := byte('#')
		switch {
		case b.Failed:
			fill = '!'
		case b.Kind == Waiting:
			fill = '-'
		}
		last := max(place(b.Start), place(b.End-1))
		for i := place(b.Start); i <= last; i++ {
			cells[i] = fill
		}
	}
	return string(cells)
}
