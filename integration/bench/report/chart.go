package main

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// Measures of the chart, in pixels. The columns have room for the longest text in
// the widest of the usual fonts.
const (
	chartWidth = 860
	margin     = 16
	barsLeft   = 296
	barsRight  = 700 // of the longest; its figure stands behind it
	rowHeight  = 22
	barHeight  = 14
)

// Colours. The chart brings its own background, for pages that are dark.
const (
	paper    = "#ffffff"
	frame    = "#d0d7de"
	ink      = "#1f2328"
	grey     = "#59636e"
	ours     = "#e8710a"
	unsigned = "#f6b26b"
	others   = "#8b98a5"
)

// panel is the bars of one job, on a scale of its own.
type panel struct {
	title string
	bars  []bar
}

type bar struct {
	name   string
	ms     float64 // 0 is a peer that cannot
	colour string
}

// panels takes from the results what the chart shows. Without signatures the same
// job is a bar of the same panel.
func panels(r results) []panel {
	var all []panel
	for _, j := range jobs {
		if strings.HasSuffix(j.by[0], "-unsigned") {
			continue
		}
		p := panel{title: "Job " + j.what}
		for i, name := range j.by {
			ms, ok := r.value(name, instructions)
			if ok || name == cannot {
				p.bars = append(p.bars, bar{jobPeers[i], ms, colour(i == 0)})
			}
			if ms, ok := r.value(name+"-unsigned", instructions); ok && i == 0 {
				p.bars = append(p.bars, bar{unsignedName, ms, unsigned})
			}
		}
		all = append(all, p)
	}
	p := panel{title: "Debian 12 on a disk: to the first line of its systemd"}
	for _, m := range debianMakers {
		ms, ok := r.value("Debian/"+m.name, instructions)
		switch {
		case !ok || strings.HasPrefix(m.name, "rambox-dep"):
		case m.name == "rambox-unsigned":
			p.bars = append(p.bars, bar{unsignedName, ms, unsigned})
		default:
			p.bars = append(p.bars, bar{m.what, ms, colour(m.name == "rambox")})
		}
	}
	return append(all, p)
}

const unsignedName = "Rambox, unsigned modules"

func colour(isOurs bool) string {
	if isOurs {
		return ours
	}
	return others
}

// svg is a picture being written from top to bottom.
type svg struct {
	strings.Builder
	y float64 // where the next thing begins
}

// chart draws a bar for everybody in each job, and writes beside it how long that
// took and how many times of ours it is.
func chart(r results) string {
	s := &svg{y: margin}
	s.line(17, ink, true, "From \"Run /init\" to the program")
	s.line(12, grey, false, "Milliseconds of instructions, and how many times of Rambox's. "+r.facts["kernel-cloud"]+", QEMU without KVM. Each job has its own scale.")
	for _, p := range panels(r) {
		s.panel(p)
	}
	height := s.y + margin - 6
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%.0f" viewBox="0 0 %[1]d %.0[2]f" role="img" `+
		`font-family="DejaVu Sans, Verdana, Helvetica, Arial, sans-serif">`+"\n<title>From Run /init to the program</title>\n"+
		`<rect x="0.5" y="0.5" width="%d" height="%.0f" fill="%s" stroke="%s"/>`+"\n%s</svg>\n",
		chartWidth, height, chartWidth-1, height-1, paper, frame, s.String())
}

func (s *svg) panel(p panel) {
	s.y += 10
	s.line(13.5, ink, true, p.title)
	longest := 0.0
	for _, b := range p.bars {
		longest = max(longest, b.ms)
	}
	for i, b := range p.bars {
		base := s.y + rowHeight/2 + 4.5
		s.text(margin, base, 12.5, ink, i == 0, b.name)
		if b.ms == 0 {
			s.text(barsLeft, base, 12, grey, false, "cannot")
			s.y += rowHeight
			continue
		}
		width := max(1.5, (barsRight-barsLeft)*b.ms/longest)
		fmt.Fprintf(s, `<rect x="%d" y="%.1f" width="%.1f" height="%d" fill="%s"/>`+"\n", barsLeft, s.y+(rowHeight-barHeight)/2, width, barHeight, b.colour)
		figure := number(b.ms) + " ms"
		if i > 0 {
			figure += "   " + ratio(b.ms, p.bars[0].ms)
		}
		s.text(barsLeft+width+7, base, 12.5, ink, i == 0, figure)
		s.y += rowHeight
	}
}

// line writes a line of the whole width.
func (s *svg) line(size float64, fill string, bold bool, text string) {
	s.y += size * 1.05
	s.text(margin, s.y, size, fill, bold, text)
	s.y += size * 0.5
}

func (s *svg) text(x, y, size float64, fill string, bold bool, text string) {
	weight := ""
	if bold {
		weight = ` font-weight="bold"`
	}
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" font-size="%g" fill="%s"%s xml:space="preserve">`, x, y, size, fill, weight)
	_ = xml.EscapeText(s, []byte(text)) // a strings.Builder takes everything
	s.WriteString("</text>\n")
}
