package main

import (
	"fmt"
	"strings"
)

const (
	instructions = "ms-of-instructions"
	none         = "–"      // not measured
	cannot       = "cannot" // the peer has nothing for it

	idle = "(*) By the clock on the wall: right only on an idle machine."
)

// table is a head and rows of as many cells.
type table struct {
	title string
	note  string // "" or a sentence below the title
	head  []string
	rows  [][]string
}

func tables(r results) []table {
	return []table{jobTable(r), debianTable(r), clientTable(r), promises(r, memory), promises(r, sizes), promises(r, powerOn), promises(r, clock), serverTable(r), versionTable(r)}
}

// jobPeers heads the columns of jobTable, and names the bars of the chart.
var jobPeers = [...]string{"Rambox", "C init", "busybox script", "tiny-initramfs", "initramfs-tools", "dracut"}

// job is what all do on the same kernel. Ours is by[0].
type job struct {
	what   string
	target float64 // ms of instructions
	by     [len(jobPeers)]string
}

var jobs = [...]job{
	{"1: run a static program", 3.0,
		[...]string{"Job1/rambox", "Job1/C", "Job1/busybox-script", cannot, "Peers/job1/initramfs-tools", "Peers/job1/dracut"}},
	{"2: load virtio_blk, mount ext4, switch to it", 66,
		[...]string{"Job2/rambox", none, "Job2/busybox-script", "Peers/job2/tiny-initramfs", "Peers/job2/initramfs-tools", "Peers/job2/dracut"}},
	{"2, modules without signatures", 13, [...]string{"Job2/rambox-unsigned", none, "Job2/busybox-script-unsigned", none, none, none}},
	{"3: load virtio_net, ask DHCP, run a static program", 92,
		[...]string{"Job3/rambox", none, "Job3/busybox-udhcpc", cannot, "Peers/job3/initramfs-tools", "Peers/job3/dracut"}},
	{"3, modules without signatures", 16, [...]string{"Job3/rambox-unsigned", none, "Job3/busybox-udhcpc-unsigned", none, none, none}},
}

func jobTable(r results) table {
	t := table{
		title: "Debian's cloud kernel: from \"Run /init\" to the program, ms of instructions",
		note:  "In brackets, how many times of Rambox's. " + none + ": not measured.",
		head:  append([]string{"job", "target"}, jobPeers[:]...),
	}
	for _, j := range jobs {
		ours, ok := r.value(j.by[0], instructions)
		row := []string{j.what, atMost(j.target), none}
		if ok {
			row[2] = number(ours) + " " + verdict(ours, j.target)
		}
		for _, name := range j.by[1:] {
			cell := name
			if v, measured := r.value(name, instructions); measured && ok {
				cell = fmt.Sprintf("%s (%s)", number(v), ratio(v, ours))
			} else if name != cannot {
				cell = none
			}
			row = append(row, cell)
		}
		t.rows = append(t.rows, row)
	}
	return t
}

func verdict(v, most float64) string {
	if v <= most {
		return "met"
	}
	return "missed"
}

// debianMakers are the images of BenchmarkDebian.
var debianMakers = [...]struct{ name, what string }{
	{"rambox", "Rambox"},
	{"rambox-unsigned", "Rambox, modules without signatures"},
	{"rambox-dep", "Rambox, two named modules"},
	{"rambox-dep-without-shell", "Rambox, two named modules, no shell"},
	{"tiny-initramfs", "tiny-initramfs, two named modules"},
	{"initramfs-tools-dep", "initramfs-tools, MODULES=dep"},
	{"initramfs-tools-most", "initramfs-tools, as it is"},
	{"dracut", "dracut, as it is"},
}

func debianTable(r results) table {
	t := table{
		title: "Debian 12 on a disk: from \"Run /init\" to the first line of its systemd",
		note:  "The time to build an image (*) is the median of three. " + idle,
		head:  []string{"initramfs", "ms of instructions", "times Rambox's", "since power-on", "image, MiB", "to build, s"},
	}
	ours, _ := r.value("Debian/rambox", instructions)
	for _, m := range debianMakers {
		row := []string{m.what}
		name := "Debian/" + m.name
		row = append(row, r.cell(name, instructions), none, r.cell(name, "ms-from-power-on"), r.cell(name, "MiB"), r.cell(name, "s-build-median"))
		if v, ok := r.value(name, instructions); ok && ours > 0 {
			row[2] = ratio(v, ours)
		}
		t.rows = append(t.rows, row)
	}
	return t
}

func (r results) cell(name, unit string) string {
	if v, ok := r.value(name, unit); ok {
		return number(v)
	}
	return none
}

func clientTable(r results) table {
	t := table{
		title: "The DHCP client alone: from its start to the configured link",
		note:  idle,
		head:  []string{"client", "ms of instructions", "times Rambox's", "ms by the clock (*)"},
	}
	ours, _ := r.value("DHCP/rambox", instructions)
	for _, c := range [...]struct{ name, what string }{{"rambox", "Rambox"}, {"udhcpc", "busybox udhcpc"}, {"dhclient", "ISC dhclient"}} {
		row := []string{c.what, r.cell("DHCP/"+c.name, instructions), none, r.cell("DHCP/"+c.name+"-wall", "ms-wall-median")}
		if v, ok := r.value("DHCP/"+c.name, instructions); ok && ours > 0 {
			row[2] = ratio(v, ours)
		}
		t.rows = append(t.rows, row)
	}
	return t
}

func serverTable(r results) table {
	const rate, limit = "exchanges/s", "exchanges/s-limit-of-perfdhcp"
	t := table{
		title: "DHCP servers: exchanges of four packets in a second with none lost (*)",
		note: idle + " perfdhcp asks for 5 s at each rate. Where it is the limit itself the server lost nothing at the last rate either, and the search is over. " +
			"Rambox and dnsmasq have a lease on the disk before they acknowledge it; Kea leaves it to the kernel when its file is written.",
		head: []string{"server", "none lost", "the last rate, where perfdhcp was the limit"},
	}
	for _, s := range [...]struct{ name, what string }{
		{"rambox", "Rambox"},
		{"dnsmasq", "dnsmasq"}, {"dnsmasq_without_lease_file", "dnsmasq, without a file of leases"},
		{"Kea", "Kea"}, {"Kea_without_lease_file", "Kea, without a file of leases"},
	} {
		t.rows = append(t.rows, []string{s.what, r.cell("Exchanges/"+s.name, rate), r.cell("Exchanges/"+s.name, limit)})
	}
	return t
}

func versionTable(r results) table {
	t := table{title: "Versions", head: []string{"what", "version"}}
	for _, f := range strings.Fields("date rambox go cpu qemu kernel-cloud kernel-run busybox tiny-initramfs-core initramfs-tools dracut-core systemd isc-dhcp-client dnsmasq-base kea-dhcp4-server") {
		if v, ok := r.facts[f]; ok {
			t.rows = append(t.rows, []string{f, v})
		}
	}
	return t
}
