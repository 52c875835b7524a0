package image

import (
	"fmt"
	"strings"
)

// Report says what an image holds.
type Report struct {
	Files           int      // entries of all kinds
	Payload         []string // argv as the image has it: the program's path there, and its arguments
	Libraries       []string // files from the host that programs and scripts need
	Modules         []Module // in load order
	Unsigned        int      // modules whose signature was cut off
	Firmware        []string
	FirmwareMissing []string // "e100/d101m_ucode.bin (e100)": asked for, and not on the host
	Notes           []string // what could not be met and may not matter
	Raw             int64    // bytes of the archive before compression
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// String is the report as rambox build prints it, one matter to a line. sizes
// of the written image are the caller's to add.
func (r Report) String() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("files      %d, %s", r.Files, formatSize(r.Raw))
	if len(r.Payload) > 0 {
		line("payload    %s", strings.Join(r.Payload, " "))
	}
	if len(r.Libraries) > 0 {
		line("libraries  %d: %s", len(r.Libraries), strings.Join(r.Libraries, " "))
	}
	if len(r.Modules) > 0 {
		names, size := make([]string, len(r.Modules)), int64(0)
		for i, m := range r.Modules {
			names[i] = m.Name
			size += m.Size
		}
		cut := ""
		if r.Unsigned > 0 {
			cut = fmt.Sprintf(", %d signatures cut off", r.Unsigned)
		}
		line("modules    %d, %s%s: %s", len(r.Modules), formatSize(size), cut, strings.Join(names, " "))
	}
	if len(r.Firmware) > 0 {
		line("firmware   %d: %s", len(r.Firmware), strings.Join(r.Firmware, " "))
	}
	for _, f := range r.FirmwareMissing {
		line("missing    firmware %s", f)
	}
	for _, n := range r.Notes {
		line("note       %s", n)
	}
	return b.String()
}

// formatSize is "812 B", "4.3 KiB" or "2.0 MiB".
func formatSize(n int64) string {
	const kib, mib = 1 << 10, 1 << 20
	switch {
	case n < kib:
		return fmt.Sprintf("%d B", n)
	case n < mib:
		return fmt.Sprintf("%.1f KiB", float64(n)/kib)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/mib)
}
