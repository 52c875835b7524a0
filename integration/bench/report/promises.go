package main

import "strings"

// promiseTable is about single figures with targets.
type promiseTable struct {
	title, note string
	rows        []promise
}

// promise is a figure that has a target, or that stands beside such a one.
type promise struct {
	what       string
	target     float64 // at most; 0 is none
	name, unit string
	missing    string // what to do where its kernel is not built
}

const (
	small    = "not built: make small"
	smallISO = "not built: rambox kernel build --profile iso"
)

var memory = promiseTable{
	title: "Memory: the least that works, MB",
	note:  "The first five by rambox run --memory auto; jobs 1 and 2 by images with nothing else in them, in gzip.",
	rows: []promise{
		{"a static program, profile tiny", 14, "LeastMemory/a_program", "MB", small},
		{"the same with 32 bits", 10, "LeastMemory/a_program_with_32_bits", "MB", small},
		{"a shell and busybox, profile tiny", 16, "LeastMemory/a_shell", "MB", small},
		{"a network by DHCP, profile micro", 20, "LeastMemory/a_network", "MB", small},
		{"a static program, Debian's cloud kernel", 73, "LeastMemory/a_program_on_Debian's_kernel", "MB", none},
		{"job 1, Debian's cloud kernel", 73, "MemoryFloor/job1/rambox", "MB", none},
		{"… with a C init", 0, "MemoryFloor/job1/C", "MB", none},
		{"… with a busybox script", 0, "MemoryFloor/job1/busybox-script", "MB", none},
		{"job 2, Debian's cloud kernel", 73, "MemoryFloor/job2/rambox", "MB", none},
		{"… with a busybox script", 0, "MemoryFloor/job2/busybox-script", "MB", none},
	},
}

var sizes = promiseTable{
	title: "Sizes, MiB",
	rows: []promise{
		{"bin/init", 3.0, "Size", "MiB", none},
		{"image of init and busybox, zstd-best", 2.0, "Build/zstd-best", "MiB", none},
		{"image of init and busybox, zstd", 0, "Build/zstd", "MiB", none},
		{"bzImage, profile tiny", 1.0, "BzImage/tiny", "MiB", small},
		{"bzImage, profile micro", 1.6, "BzImage/micro", "MiB", small},
		{"ISO with kernel, init, busybox, shell and DHCP, zstd-best", 5.0, "ISO", "MiB", smallISO},
	},
}

var powerOn = promiseTable{
	title: "Power-on to the program, profile tiny without compression, ms of instructions",
	rows: []promise{
		{"machine microvm", 30, "PowerOn/microvm", instructions, small},
		{"machine pc", 60, "PowerOn/pc", instructions, small},
	},
}

var clock = promiseTable{
	title: "By the clock on the wall, s (*)",
	note:  "Medians of seven, of three for the ISO's boot; QEMU without KVM. " + idle,
	rows: []promise{
		{"rambox run -- true, kernel of profile run", 0.8, "Run/ours/rambox", "s-wall-median", none},
		{"… QEMU by hand, a C init", 0, "Run/ours/by-hand", "s-wall-median", none},
		{"rambox run -- true, kernel of profile tiny", 0.8, "Run/tiny", "s-wall-median", small},
		{"rambox run -- true, Debian's cloud kernel", 0, "Run/cloud/rambox", "s-wall-median", none},
		{"… QEMU by hand, a C init", 0, "Run/cloud/by-hand", "s-wall-median", none},
		{"rambox build of init and busybox, zstd", 0.15, "Build/zstd", "s-wall-median", none},
		{"rambox build of init and busybox, zstd-best", 0, "Build/zstd-best", "s-wall-median", none},
		{"the ISO by BIOS, to a shell with a network", 5, "ISO", "s-boot-median", smallISO},
		{"rambox iso, zstd-best", 5, "ISO", "s-wall-median", smallISO},
	},
}

// promises compares figures with their targets, and those that stand beside one
// with that.
func promises(r results, p promiseTable) table {
	t := table{title: p.title, note: p.note, head: []string{"what", "target", "measured", ""}}
	ours := 0.0
	for _, w := range p.rows {
		row := []string{w.what, "", r.cell(w.name, w.unit), ""}
		v, ok := r.value(w.name, w.unit)
		if _, not := r.value(w.name, "not-built"); not {
			row[2] = w.missing
		}
		beside := strings.HasPrefix(w.what, "…")
		if !beside {
			ours = v
		}
		if w.target > 0 {
			row[1] = atMost(w.target)
		}
		switch {
		case ok && w.target > 0:
			row[3] = verdict(v, w.target)
		case ok && beside && ours > 0:
			row[3] = ratio(v, ours)
		}
		t.rows = append(t.rows, row)
	}
	return t
}
