package timings

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
)

// SVG writes the chart as a picture that brings its own background. The same timeline gives the same bytes.
func (t Timeline) SVG(w io.Writer) error {
	p := layout(t)
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%s" height="%s" viewBox="0 0 %[1]s %[2]s" role="img" `+
		`font-family="DejaVu Sans, Verdana, Helvetica, Arial, sans-serif">`+"\n", number(p.width), number(p.height))
	fmt.Fprintf(&b, "<title>%s</title>\n<defs>\n", escape("Boot of "+t.caption()+": "+t.headline()))
	hatch(&b, "wait", "#6e7781")
	hatch(&b, "failedwait", red)
	b.WriteString("</defs>\n")
	for _, s := range p.shapes {
		s.svg(&b)
	}
	for _, l := range p.labels {
		l.svg(&b)
	}
	b.WriteString("</svg>\n")
	_, err := w.Write(b.Bytes())
	return err
}

// hatch defines the pattern of waits.
func hatch(b *bytes.Buffer, id, colour string) {
	fmt.Fprintf(b, `<pattern id="%s" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">`+
		`<rect width="5" height="5" fill="%s" fill-opacity="0.25"/><rect width="2.2" height="5" fill="%[2]s"/></pattern>`+"\n", id, colour)
}

func (s shape) svg(b *bytes.Buffer) {
	fmt.Fprintf(b, `<rect x="%s" y="%s" width="%s" height="%s" fill="%s"`, number(s.x), number(s.y), number(s.w), number(s.h), s.fill)
	if s.stroke != "" {
		fmt.Fprintf(b, ` stroke="%s"`, s.stroke)
	}
	if s.tip == "" {
		b.WriteString("/>\n")
		return
	}
	fmt.Fprintf(b, "><title>%s</title></rect>\n", escape(s.tip))
}

func (l label) svg(b *bytes.Buffer) {
	fmt.Fprintf(b, `<text x="%s" y="%s" font-size="%s" fill="%s"`, number(l.x), number(l.y), number(l.size), l.fill)
	if l.bold {
		b.WriteString(` font-weight="bold"`)
	}
	if l.atEnd {
		b.WriteString(` text-anchor="end"`)
	}
	if l.halo {
		fmt.Fprintf(b, ` paint-order="stroke" stroke="%s" stroke-width="3"`, paper)
	}
	fmt.Fprintf(b, ">%s</text>\n", escape(l.text))
}

func number(f float64) string {
	s := strconv.FormatFloat(f, 'f', 2, 64)
	return string(bytes.TrimRight(bytes.TrimRight([]byte(s), "0"), "."))
}

func escape(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a bytes.Buffer takes everything
	return b.String()
}
