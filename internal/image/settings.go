package image

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"
	"time"
)

// Settings are what init reads in /etc/rambox.
type Settings struct {
	Cmdline string   // default parameters in the kernel's grammar; the kernel's own line wins
	Payload []string // argv of the default payload
	Environ []string // NAME=VALUE, over what the command line gives the payload
	Locked  bool     // no shell, ever
	Nonce   string   // marks the status lines on the console; see rambox run
}

// entries are the files for the settings that are set.
func (s Settings) entries() ([]Entry, error) {
	var list []Entry
	file := func(name string, perm fs.FileMode, text string) {
		list = append(list, Entry{
			Path: "etc/rambox/" + name, Mode: perm, Size: int64(len(text)), content: bytesContent(text),
		})
	}
	if s.Cmdline != "" {
		file("cmdline", 0o644, s.Cmdline)
	}
	if len(s.Payload) > 0 {
		for _, word := range s.Payload {
			if strings.ContainsRune(word, 0) {
				return nil, fmt.Errorf("payload word %q: NUL byte", word)
			}
		}
		file("payload", 0o644, strings.Join(s.Payload, "\x00")+"\x00")
	}
	if len(s.Environ) > 0 {
		for _, e := range s.Environ {
			if name, _, ok := strings.Cut(e, "="); !ok || name == "" || strings.ContainsRune(e, 0) {
				return nil, fmt.Errorf("environment %q: want NAME=VALUE, without NUL bytes", e)
			}
		}
		file("environ", 0o600, strings.Join(s.Environ, "\x00")+"\x00")
	}
	if s.Locked {
		file("locked", 0o644, "")
	}
	if s.Nonce != "" {
		file("nonce", 0o600, s.Nonce)
	}
	return list, nil
}

// addSettings adds the settings. One that the user's own tree has too, with
// other content, is an error.
func (t *Tree) addSettings(s Settings) error {
	list, err := s.entries()
	if err != nil {
		return err
	}
	for _, e := range list {
		e.Source, e.origin = "settings", named
		if err := t.put(e, false); err != nil {
			return err
		}
	}
	return nil
}

// Overlay returns what to append to an existing image of size bytes, so that
// it gets these settings: padding, and a small archive that is not compressed.
// The kernel unpacks both, and what comes later wins.
//
// A setting that is not set leaves the image's own in place.
func Overlay(size int64, s Settings) ([]byte, error) {
	t := NewTree(time.Time{})
	if err := t.addSettings(s); err != nil {
		return nil, err
	}
	// unlz4 takes anything but four zero bytes for another block
	// (lib/decompress_unlz4.c, v6.12).
	const block, least = 512, 4
	pad := block - size%block
	if pad < least {
		pad += block
	}
	out := bytes.NewBuffer(make([]byte, pad, pad+t.archiveSize()))
	if err := t.writeArchive(out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
