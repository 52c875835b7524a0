package image

import (
	"fmt"
	"strings"
)

// Fstab is a line of fstab(5).
type Fstab struct {
	Source  string // "share0"
	Target  string // "/home/me/src"
	Type    string // "9p"
	Options string // "trans=virtio,version=9p2000.L"; "" for defaults
}

// fstabEscapes are the bytes that end a field, and the one that begins an escape.
var fstabEscapes = strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, "\r", `\015`, `\`, `\134`, "#", `\043`)

// String is the line, with the escapes of fstab(5).
func (f Fstab) String() string {
	options := f.Options
	if options == "" {
		options = "defaults"
	}
	fields := [...]string{f.Source, f.Target, f.Type, options}
	for i, s := range fields {
		fields[i] = fstabEscapes.Replace(s)
	}
	return strings.Join(fields[:], " ") + " 0 0\n"
}

// addFstab adds lines to the fstab that the tree has: the user's own or the skeleton's.
func (t *Tree) addFstab(lines []Fstab) error {
	if len(lines) == 0 {
		return nil
	}
	const name = "etc/fstab"
	own, err := t.readFile(name)
	if err != nil {
		return fmt.Errorf("read the image's /%s: %w", name, err)
	}
	text := string(own)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	for _, l := range lines {
		text += l.String()
	}
	e := Entry{Path: name, Mode: 0o644, Size: int64(len(text)), Source: "shares", origin: named, content: bytesContent(text)}
	return t.put(e, true)
}
