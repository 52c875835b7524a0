//go:build linux

package main

import (
	"strconv"
	"time"
)

// How often progress is told. Init ends a helper that is silent for a minute,
// and the kernel drops lines that come too fast (printk.devkmsg).
const (
	progressEvery = 5 * time.Second // a line at the latest, while bytes come
	progressLeast = time.Second     // none sooner,
	progressStep  = 10              // even if so many percent more are there
)

// progress turns numbers of bytes into lines.
type progress struct {
	size int64 // of the whole, in bytes; negative: unknown

	at   time.Time // of the last line, or the beginning
	have int64     // then
}

// line returns "42 MiB of 180 MiB (23 %), 8.1 MiB/s", or "" if it is not time
// for a line. have is the number of bytes that are there now.
func (p *progress) line(now time.Time, have int64) string {
	passed := now.Sub(p.at)
	stepped := p.size > 0 && percent(have, p.size)/progressStep > percent(p.have, p.size)/progressStep
	if passed < progressLeast || passed < progressEvery && !stepped {
		return ""
	}
	text := byteText(have)
	if p.size > 0 {
		text += " of " + byteText(p.size) + " (" + strconv.FormatInt(percent(have, p.size), 10) + " %)"
	}
	text += ", " + byteText(int64(float64(have-p.have)/passed.Seconds())) + "/s"
	p.at, p.have = now, have
	return text
}

func percent(have, size int64) int64 {
	return int64(float64(have) / float64(size) * 100)
}

// byteText returns n in bytes, KiB, MiB or GiB: "8.1 MiB", "42 MiB".
func byteText(n int64) string {
	unit, value := "bytes", float64(n)
	for _, next := range [...]string{"KiB", "MiB", "GiB"} {
		if value < 1024 {
			break
		}
		unit, value = next, value/1024
	}
	if unit != "bytes" && value < 9.95 {
		return strconv.FormatFloat(value, 'f', 1, 64) + " " + unit
	}
	return strconv.FormatFloat(value, 'f', 0, 64) + " " + unit
}
