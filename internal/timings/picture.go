package timings

import (
	"strings"
	"unicode"
)

// picture is what an SVG shows, with the place of everything worked out. Lengths are in pixels.
type picture struct {
	width, height float64
	shapes        []shape
	labels        []label
}

// shape is a rectangle, or a line that is a thin one.
type shape struct {
	x, y, w, h float64
	fill       string // a colour, or a pattern's url(#…)
	stroke     string // "" is none
	tip        string // what a viewer shows when the pointer is on it
}

// label is a piece of text.
type label struct {
	x, y  float64 // of the baseline, at its start or its end
	size  float64
	text  string
	fill  string
	bold  bool
	atEnd bool // x is the end
	halo  bool // it stands out from lines behind it
}

// box is a rectangle.
type box struct{ left, top, right, bottom float64 }

// box is the room that the label may take.
func (l label) box() box {
	w := l.width()
	left := l.x
	if l.atEnd {
		left -= w
	}
	return box{left, l.y - 0.95*l.size, left + w, l.y + 0.25*l.size}
}

func (l label) width() float64 {
	w := textWidth(l.text, l.size)
	if l.bold {
		w *= 1.12
	}
	return w
}

func (p *picture) rect(s shape)       { p.shapes = append(p.shapes, s) }
func (p *picture) text(l label) label { p.labels = append(p.labels, l); return l }

// textWidth is an upper bound on the width of text: a viewer has one font or another, and these are the widths of the widest
// of the usual ones (Verdana, DejaVu Sans), rounded up by classes.
func textWidth(text string, size float64) float64 {
	w := 0.0
	for _, r := range text {
		w += runeWidth(r)
	}
	return w * size
}

func runeWidth(r rune) float64 {
	switch {
	case strings.ContainsRune("ijl.,:;|!'`()[] /\\-Itfr", r):
		return 0.46
	case strings.ContainsRune("mwMW@%+=<>~&#^…—", r):
		return 1.02
	case r == '·':
		return 0.46
	case unicode.IsUpper(r) && r < 0x250:
		return 0.82
	case r < 0x250:
		return 0.66
	default:
		return 1.4
	}
}

// fit shortens text to a width.
func fit(text string, size, width float64) string {
	if textWidth(text, size) <= width {
		return text
	}
	width -= textWidth("…", size)
	w := 0.0
	for i, r := range text {
		if w += runeWidth(r) * size; w > width {
			return strings.TrimRight(text[:i], " ,;:") + "…"
		}
	}
	return text
}
