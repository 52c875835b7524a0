package timings

import (
	"strconv"
	"strings"
	"time"
)

// Marks are the kernel's, in time of its own log. One whose message is not in the log is nil.
type Marks struct {
	Unpack   *Seconds `json:"unpack,omitempty"`   // the unpacking of the initramfs begins
	Unpacked *Seconds `json:"unpacked,omitempty"` // it is over, and the archive's memory is free again
	RunInit  *Seconds `json:"run_init,omitempty"` // the kernel starts init
}

// KernelMarks finds the marks in records of /dev/kmsg. The first message of each kind counts, and only the kernel's own:
// programs can write to the log, too.
func KernelMarks(records []string) Marks {
	var m Marks
	for _, line := range records {
		at, text, ok := parseRecord(line)
		if !ok {
			continue
		}
		// do_populate_rootfs in init/initramfs.c (with and without CONFIG_BLK_DEV_RAM), free_initrd_mem,
		// run_init_process in init/main.c; the same words in v4.19, v5.10, v6.1 and v6.12.
		switch {
		case text == "Trying to unpack rootfs image as initramfs..." || text == "Unpacking initramfs...":
			setFirst(&m.Unpack, at)
		case strings.HasPrefix(text, "Freeing initrd memory:"):
			setFirst(&m.Unpacked, at)
		case strings.HasPrefix(text, "Run /") && strings.HasSuffix(text, " as init process"):
			setFirst(&m.RunInit, at)
		}
	}
	if m.Unpack == nil || m.Unpacked == nil || *m.Unpacked < *m.Unpack {
		m.Unpack, m.Unpacked = nil, nil
	}
	return m
}

func setFirst(to **Seconds, at Seconds) {
	if *to == nil {
		*to = &at
	}
}

// parseRecord reads "prio,seq,usec,flags[,…];text" (Documentation/ABI/testing/dev-kmsg). ok is false for anything else, and
// for messages that do not come from the kernel itself: its facility is 0, and a program cannot write that.
func parseRecord(line string) (at Seconds, text string, ok bool) {
	head, text, ok := strings.Cut(line, ";")
	words := strings.Split(head, ",")
	if !ok || len(words) < 4 {
		return 0, "", false
	}
	prio, err := strconv.ParseUint(words[0], 10, 32)
	if err != nil || prio>>3 != 0 {
		return 0, "", false
	}
	usec, err := strconv.ParseUint(words[2], 10, 63)
	if err != nil || usec > maxSeconds*1e6 {
		return 0, "", false
	}
	text, _, _ = strings.Cut(text, "\n")
	return Seconds(time.Duration(usec) * time.Microsecond), text, true
}
