//go:build linux

package root

import (
	"testing"
	"time"

	"rambox/internal/vmtest"
)

// plugIn plugs a disk into a machine that pluggable has made ready for it.
func plugIn(m *vmtest.Monitor) {
	m.Do("device_add", map[string]any{"driver": "virtio-blk-pci", "drive": "late", "id": "late", "bus": "port0"})
}

// pluggable is what a machine needs into which a disk is plugged later.
func pluggable(m *vmtest.Monitor, disk string) []string {
	return append(m.Args(), "-drive", "if=none,id=late,format=raw,file="+disk, "-device", "pcie-root-port,id=port0,slot=0")
}

// TestLateDevice plugs the root in while init waits for it.
func TestLateDevice(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	initrd := image(t, k, nil)
	for _, tc := range []struct {
		name, line, from string
		pause            time.Duration
	}{
		{"rootwait", "root=LABEL=late rootwait", "/dev/vdb", 5 * time.Second},
		{"by default", "root=/dev/vdb", "/dev/vdb", 5 * time.Second},
		{"a partition", "root=PARTUUID=" + partOne, "/dev/vdb1", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			late := ext4(t, tree(t, "late", ""), "-L", "late")
			if tc.from == "/dev/vdb1" {
				late = partitioned(t, "gpt", partition{late, "uuid=" + partOne})
			}
			m := vmtest.NewMonitor(t)
			g := vmtest.Start(t, vmtest.VM{Kernel: k, Initrd: initrd, Disks: disks(ext4(t, tree(t, "other", ""), "-L", "other")),
				Append: "debug " + tc.line, Extra: pluggable(m, late)})
			g.Expect("virtio_blk virtio")
			<-time.After(tc.pause) // the machine waits in this time
			plugIn(m)
			g.Expect("== this is root late")
			out := clean(g.End())
			vmtest.Contains(t, out, "== from "+tc.from+", ext4, ro", "Power down")
			vmtest.Lacks(t, out, "did not boot")
		})
	}
}

// TestNeverThere has another disk than the one that is wanted.
func TestNeverThere(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	d := disks(ext4(t, tree(t, "other", ""), "-L", "another", "-U", uuidOne))
	g := vmtest.Start(t, vmtest.VM{Kernel: k, Initrd: image(t, k, nil), Disks: d, Append: "root=LABEL=absent rootwait=3 rambox.rescue=shell"})
	g.Expect("Run /init as init process")
	start := time.Now()
	g.Expect("did not boot")
	if took := time.Since(start); took < 3*time.Second || took > 15*time.Second {
		t.Errorf("the report came after %v, want a little more than 3 s", took)
	}
	report := clean(g.Expect("# "))
	vmtest.Contains(t, report, "root device LABEL=absent did not appear within 3s", "16 MiB  ext4 UUID="+uuidOne+" LABEL=another")
	// A disk that comes while the shell runs is found by the next try.
	g.Send("exit\n")
	g.Expect("did not boot")
	g.Kill()
}

// TestRescuedByPlugging mends the machine while the rescue shell runs.
func TestRescuedByPlugging(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	m := vmtest.NewMonitor(t)
	late := ext4(t, tree(t, "late", ""), "-L", "late")
	g := vmtest.Start(t, vmtest.VM{Kernel: k, Initrd: image(t, k, nil), Append: "root=LABEL=late rootwait=1 rambox.rescue=shell", Extra: pluggable(m, late)})
	g.Expect("root device LABEL=late did not appear within 1s")
	g.Expect("A shell follows")
	g.Expect("# ")
	plugIn(m)
	g.Send("exit\n")
	g.Expect("== this is root late")
	vmtest.Contains(t, g.End(), "Power down")
}

// TestPowerWhileWaiting is a machine that somebody gives up.
func TestPowerWhileWaiting(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	initrd := image(t, k, nil, script(t, "lib/rambox/hooks/network.d/10-kill", "#!/bin/sh\n(sleep 2; kill -USR2 1) >/dev/null 2>&1 &\n"))
	out := vmtest.Boot(t, vmtest.VM{Kernel: k, Initrd: initrd, Append: "root=LABEL=absent rootwait"})
	vmtest.Contains(t, out, "reboot: Power down")
	vmtest.Lacks(t, out, "did not boot")
}
