package timings

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Measures of the chart, in pixels.
const (
	chartWidth = 1000
	margin     = 16
	gap        = 6   // between a bar and its duration, and between columns
	maxName    = 250 // of the column of names
	minBar     = 1.5
	nameSize   = 12
	subSize    = 10.5
	rowHeight  = 21
	subHeight  = 15
	indent     = 12
	tallChart  = 450 // from here on the axis is shown at the bottom, too
)

// Colours.
const (
	paper    = "#ffffff"
	ink      = "#1f2328"
	grey     = "#59636e"
	gridline = "#e4e7eb"
	frame    = "#d0d7de"
	red      = "#c5221f"
)

// colour is how the kind's bars are filled.
func (k Kind) colour() string {
	switch k {
	case Firmware:
		return "#9aa0a6"
	case Kernel:
		return "#4c78a8"
	case Unpack:
		return "#72b7b2"
	case Init:
		return "#f58518"
	case Net:
		return "#54a24b"
	case Waiting:
		return "url(#wait)"
	case Modular:
		return "#e3b505"
	case Payload:
		return "#7b4fa3"
	default:
		return "#9d755d"
	}
}

// fill is the colour of a bar.
func (b Bar) fill() string {
	switch {
	case b.Failed && b.Kind == Waiting:
		return "url(#failedwait)"
	case b.Failed:
		return red
	default:
		return b.Kind.colour()
	}
}

// chart is a picture being made.
type chart struct {
	picture
	t           Timeline
	rows        []row
	y           float64 // where the next thing begins
	left, right float64 // of the axis
}

// layout works out where everything is.
func layout(t Timeline) picture {
	c := &chart{t: t, rows: t.rows(), y: margin}
	c.width = chartWidth
	c.columns()
	c.head()
	c.legend()
	top := c.axis()
	c.y += 4
	for _, r := range c.rows {
		c.row(r)
	}
	bottom := c.y
	if bottom-top > tallChart {
		c.y += 4
		c.axis()
	}
	c.height = c.y + margin - 4
	c.grid(top, bottom)
	return c.picture
}

// columns divides the width: names, the axis, and room for the duration of a bar that goes up to the end.
func (c *chart) columns() {
	names := textWidth(axisTitle, nameSize-1)
	durations := textWidth("1000 ms", nameSize)
	for _, r := range c.rows {
		w := textWidth(r.name(), r.textSize())
		if r.sub() {
			w += indent
		}
		if r.Kind == Modular {
			w += 2*gap + textWidth(size(r.Bytes), r.textSize())
		}
		names = max(names, w)
		durations = max(durations, textWidth(r.duration(), r.textSize()))
	}
	c.left = math.Ceil(margin + min(names, maxName) + 3*gap)
	c.right = math.Floor(chartWidth - margin - durations - gap)
}

func (r row) textSize() float64 {
	if r.sub() {
		return subSize
	}
	return nameSize
}

// x is the place of a time.
func (c *chart) x(at Seconds) float64 {
	if c.t.Total <= 0 {
		return c.left
	}
	return c.left + (c.right-c.left)*float64(at)/float64(c.t.Total)
}

// line adds a line of text of the whole width.
func (c *chart) line(text string, textSize float64, fill string, bold bool) {
	c.y += textSize * 1.05
	width := float64(chartWidth - 2*margin)
	if bold {
		width /= 1.12
	}
	c.text(label{x: margin, y: c.y, size: textSize, text: fit(text, textSize, width), fill: fill, bold: bold})
	c.y += textSize * 0.45
}

func (c *chart) head() {
	fill := ink
	if c.t.Failure != "" {
		fill = red
	}
	headline := []rune(c.t.headline())
	c.line(string(upper(headline[0]))+string(headline[1:]), 18, fill, true)
	if c.t.Failure != "" {
		c.line(c.t.Failure, nameSize, red, false)
	}
	c.line(c.t.caption(), nameSize, grey, false)
	c.line(c.t.phases(), nameSize, ink, false)
}

func upper(r rune) rune {
	if r >= 'a' && r <= 'z' {
		return r - 'a' + 'A'
	}
	return r
}

// legend explains the colours that the chart has.
func (c *chart) legend() {
	const swatch, textSize, between = 10, 11, 16
	x := float64(margin)
	c.y += 6
	entry := func(fill, name string) {
		w := swatch + gap + textWidth(name, textSize)
		if x > margin && x+w > chartWidth-margin {
			x, c.y = margin, c.y+rowHeight-4
		}
		c.rect(shape{x: x, y: c.y + 2, w: swatch, h: swatch, fill: fill})
		c.text(label{x: x + swatch + gap, y: c.y + 11, size: textSize, text: name, fill: grey})
		x += w + between
	}
	failed := false
	seen := c.t.byKind()
	for _, k := range []Kind{Firmware, Kernel, Unpack, Init, Net, Waiting, Modular, Payload, Shutdown} {
		if len(seen[k]) > 0 {
			entry(k.colour(), string(k))
		}
		for _, i := range seen[k] {
			failed = failed || c.t.Bars[i].Failed
		}
	}
	if failed {
		entry(red, "failed")
	}
	c.y += rowHeight
}

const axisTitle = "ms since power-on"

// axis writes the times, and returns where the space below them begins.
func (c *chart) axis() float64 {
	const textSize = nameSize - 1
	base := c.y + 11
	c.text(label{x: margin, y: base, size: textSize, text: axisTitle, fill: grey})
	for _, at := range c.ticks() {
		text := strconv.FormatInt(at, 10)
		w := textWidth(text, textSize)
		c.text(label{x: c.x(milliseconds(at)) - w/2, y: base, size: textSize, text: text, fill: grey})
	}
	c.y = base + 5
	return c.y
}

func milliseconds(n int64) Seconds { return Seconds(time.Duration(n) * time.Millisecond) }

// ticks are the milliseconds that the axis names: round ones, about ten.
func (c *chart) ticks() []int64 {
	last := strconv.FormatInt(int64(c.t.Total)/1e6, 10)
	room := textWidth(last, nameSize-1) + 2*gap
	step := int64(1)
	for i := 0; c.t.Total > milliseconds(10*step) || c.x(milliseconds(step))-c.left < room; i++ {
		if milliseconds(step) > c.t.Total {
			break
		}
		step = step * [...]int64{2, 5, 2}[i%3] / [...]int64{1, 2, 1}[i%3]
	}
	var at []int64
	for ms := int64(0); milliseconds(ms) <= c.t.Total; ms += step {
		at = append(at, ms)
	}
	return at
}

// grid draws a line through the rows at each time that the axis names. It comes first, and so lies below everything.
func (c *chart) grid(top, bottom float64) {
	shapes := []shape{{x: 0.5, y: 0.5, w: c.width - 1, h: c.height - 1, fill: paper, stroke: frame}}
	for _, at := range c.ticks() {
		shapes = append(shapes, shape{x: c.x(milliseconds(at)) - 0.5, y: top, w: 1, h: bottom - top, fill: gridline})
	}
	c.shapes = append(shapes, c.shapes...)
}

// row draws the name, the bar and the duration, and below them what went wrong.
func (c *chart) row(r row) {
	height, thick, x, fill := float64(rowHeight), 13.0, float64(margin), ink
	if r.sub() {
		height, thick, x, fill = subHeight, 7, margin+indent, grey
	}
	if r.Failed {
		fill = red
	}
	textSize := r.textSize()
	base := c.y + height/2 + textSize*0.36
	room := c.left - 2*gap - x
	if r.Kind == Modular {
		l := c.text(label{x: c.left - 2*gap, y: base, size: textSize, text: size(r.Bytes), fill: grey, atEnd: true})
		room -= l.width() + gap
	}
	c.text(label{x: x, y: base, size: textSize, text: fit(r.name(), textSize, room), fill: fill})
	end := 0.0
	for _, b := range r.parts {
		s := shape{x: c.x(b.Start), y: c.y + (height-thick)/2, h: thick, fill: b.fill(), tip: c.tip(b)}
		s.w = max(minBar, c.x(b.End)-s.x)
		c.rect(s)
		end = max(end, s.x+s.w)
	}
	c.text(label{x: end + gap, y: base, size: textSize, text: r.duration(), fill: fill, halo: true})
	c.y += height
	if r.Error != "" {
		c.reason(r.Error, c.x(r.Start))
	}
}

// reason writes what went wrong below a bar, from its start on if there is room.
func (c *chart) reason(text string, start float64) {
	const end = chartWidth - margin
	text = fit(text, subSize, end-c.left)
	x := max(c.left, min(start, end-textWidth(text, subSize)))
	c.text(label{x: x, y: c.y + subSize, size: subSize, text: text, fill: red, halo: true})
	c.y += subHeight
}

// tip is all there is to say about a bar.
func (c *chart) tip(b Bar) string {
	s := fmt.Sprintf("%s: from %.3f ms to %.3f ms", row{Bar: b}.name(), float64(b.Start)/1e6, float64(b.End)/1e6)
	if b.Kind == Modular {
		s += fmt.Sprintf(", %d bytes", b.Bytes)
	}
	if b.Open {
		s += ", not over"
	}
	if b.Error != "" {
		s += ": " + b.Error
	}
	return s
}
