//go:build linux

package handoff

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"rambox/internal/kernels"
	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

// bootReport is what /run/rambox/boot.json says.
type bootReport struct {
	Version       int
	Release       string
	Init, Now     float64
	Stages, Waits []struct {
		Name, For, Error string
		Start, End       float64
	}
	Modules []struct {
		Name       string
		Bytes      int64
		Start, End float64
	}
}

// shownReport finds the report on a console and checks what holds for any.
func shownReport(t *testing.T, k kernels.Kernel, console string) bootReport {
	t.Helper()
	text := regexp.MustCompile(`(?m)^\{"version".*\}`).FindString(vmtest.Programs(console))
	var r bootReport
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("the report %q: %v\n%s", text, err, console)
	}
	if r.Version != 1 || r.Release != k.Release {
		t.Errorf("version %d, release %q, want 1 and %q", r.Version, r.Release, k.Release)
	}
	last := r.Init
	for _, s := range r.Stages {
		if s.Start < last || s.End != 0 && s.End < s.Start || s.End > r.Now {
			t.Errorf("stage %+v between %v and %v", s, last, r.Now)
		}
		last = s.Start
	}
	for _, m := range r.Modules {
		if m.Bytes < 1000 || m.Start < r.Init || m.End < m.Start || m.End > r.Now {
			t.Errorf("module %+v between %v and %v", m, r.Init, r.Now)
		}
	}
	return r
}

func (r bootReport) stages() string {
	var names []string
	for _, s := range r.Stages {
		names = append(names, s.Name)
	}
	return strings.Join(names, " ")
}

func TestBootReportForAPayload(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	dir := diskTree(t, k)
	vmtest.WriteFile(t, dir, "app", 0o755, "#!/bin/sh\ncat /run/rambox/boot.json")
	// The card of QEMU's default machine has no driver in the image.
	r := shownReport(t, k, vmtest.Boot(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, dir),
		Disks: []qemu.Disk{disk(t, nil)}, Append: "rambox.payload=/app quiet"}))
	if got, want := r.stages(), "early modules handoff payload"; got != want {
		t.Errorf("stages %s, want %s", got, want)
	}
	var loaded []string
	for _, m := range r.Modules {
		loaded = append(loaded, m.Name)
	}
	for _, want := range []string{"virtio", "virtio_pci", "virtio_blk"} {
		if !strings.Contains(" "+strings.Join(loaded, " ")+" ", " "+want+" ") {
			t.Errorf("the modules %v lack %s", loaded, want)
		}
	}
}

func TestBootReportOnTheRoot(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k kernels.Kernel) {
		d := disk(t, map[string]string{"sbin/init": "#!/bin/sh\ncat /run/rambox/boot.json\nexec /bin/busybox reboot -f\n"})
		r := shownReport(t, k, vmtest.Boot(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, diskTree(t, k)),
			Disks: []qemu.Disk{d}, Append: "root=/dev/vda quiet"}))
		if got, want := r.stages(), "early modules root handoff"; got != want {
			t.Errorf("stages %s, want %s", got, want)
		}
	})
}

// TestBootReportOfAFailure has a root that never comes: the page for a person
// says what was tried for how long, and so does the report.
func TestBootReportOfAFailure(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	g := vmtest.Start(t, vmtest.VM{Kernel: k, Initrd: vmtest.Archive(t, diskTree(t, k)), Append: "root=LABEL=absent rootwait=2 rambox.rescue=shell quiet"})
	g.Expect("this machine did not boot")
	g.Expect("What was tried")
	tried := g.Expect("Block devices")
	if !regexp.MustCompile(`(?s)at \d+\.\d{3} s: early, .*: modules, .*: root, 2\.\d{3} s.*  waited for root device LABEL=absent, 2\.\d{3} s, in vain`).MatchString(vmtest.Programs(tried)) {
		t.Errorf("the page says that this was tried:\n%s", tried)
	}
	g.Expect("# ")
	g.Send("cat /run/rambox/boot.json; exec busybox poweroff -f\n")
	r := shownReport(t, k, g.End())
	if got, want := r.stages(), "early modules root"; got != want {
		t.Errorf("stages %s, want %s", got, want)
	}
	if w := r.Waits; len(w) != 1 || w[0].For != "root device LABEL=absent" || !strings.Contains(w[0].Error, "did not appear within 2s") {
		t.Errorf("waits %+v", w)
	}
	if s := r.Stages; s[len(s)-1].Error == "" {
		t.Errorf("the stage that failed has no error: %+v", s)
	}
}
