package boot

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rambox/pkg/cmdline"
)

var (
	bareImage = Image{}
	withShell = Image{Shell: "/bin/sh"}
	withInit  = Image{Shell: "/bin/sh", Init: true}
	withApp   = Image{Shell: "/bin/sh", Init: true, Payload: []string{"/app", "-a"}}
	locked    = Image{Shell: "/bin/sh", Locked: true}
	lockedApp = Image{Shell: "/bin/sh", Locked: true, Payload: []string{"/app"}}
)

func TestHandoff(t *testing.T) {
	for _, tc := range []struct {
		name, line string
		image      Image
		want       Handoff
		argv, init []string
	}{
		{"shell beats everything", "rambox root=/dev/vda rambox.payload=/x shell", withInit, ToShell, nil, nil},
		{"shell with a value is not ours", "shell=/bin/bash rambox", withInit, ToInit, nil, []string{"/sbin/init"}},
		{"shell after -- is an argument", "rambox.payload=/x -- shell", withShell, ToPayload, []string{"/x", "shell"}, nil},
		{"rambox beats payload and root", "rambox.payload=/x root=/dev/vda rambox", withApp, ToInit, nil, []string{"/sbin/init"}},
		{"rambox with init=", "rambox init=/linuxrc", bareImage, ToInit, nil, []string{"/linuxrc"}},
		{"payload beats root", "root=/dev/vda rambox.payload=/x", withShell, ToPayload, []string{"/x"}, nil},
		{"default payload", "quiet", withApp, ToPayload, []string{"/app", "-a"}, nil},
		{"arguments replace the default payload's", "quiet -- -b 2", withApp, ToPayload, []string{"/app", "-b", "2"}, nil},
		{"no arguments after --", "quiet --", withApp, ToPayload, []string{"/app"}, nil},
		{"payload replaces the default one", "rambox.payload=/x", withApp, ToPayload, []string{"/x"}, nil},
		{"root", "root=/dev/vda", withShell, ToRoot, nil, []string{"/sbin/init", "/etc/init", "/bin/init", "/bin/sh"}},
		{"root with init=", "root=/dev/vda init=/lib/systemd/systemd", withShell, ToRoot, nil, []string{"/lib/systemd/systemd"}},
		{"locked root never falls back to a shell", "root=/dev/vda", locked, ToRoot, nil, []string{"/sbin/init", "/etc/init", "/bin/init"}},
		{"locked payload stays", "rambox.payload=/bin/sh init=/bin/sh", lockedApp, ToPayload, []string{"/app"}, nil},
		{"empty root= counts for nothing", "root=", withInit, ToInit, nil, []string{"/sbin/init"}},
		{"nothing, with an init", "", withInit, ToInit, nil, []string{"/sbin/init"}},
		{"nothing, with a shell", "", withShell, ToShell, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := NewPlan(cmdline.Parse(tc.line), tc.image)
			if err != nil {
				t.Fatalf("NewPlan(%q): %v", tc.line, err)
			}
			if p.Handoff != tc.want {
				t.Errorf("NewPlan(%q).Handoff = %v, want %v", tc.line, p.Handoff, tc.want)
			}
			if diff := cmp.Diff(tc.argv, p.Argv); diff != "" {
				t.Errorf("NewPlan(%q).Argv (-want +got):\n%s", tc.line, diff)
			}
			if diff := cmp.Diff(tc.init, p.Init); diff != "" {
				t.Errorf("NewPlan(%q).Init (-want +got):\n%s", tc.line, diff)
			}
		})
	}
}

func TestImpossible(t *testing.T) {
	for _, tc := range []struct {
		name, line string
		image      Image
		want       string
	}{
		{"shell without one", "shell", bareImage, "no shell"},
		{"nothing at all", "", bareImage, "no shell"},
		{"shell of a locked image", "shell", locked, "locked"},
		{"empty payload", "rambox.payload=", withShell, "rambox.payload= is empty"},
		{"root that is no device", "root=vda", withShell, "root=vda: no form of a block device"},
		{"NFS server by name", "root=nfs:host:/srv", withShell, "name it by its address"},
		{"flash without a type", "root=mtd0", withShell, "name the file system"},
		{"share without a tag", "root=virtiofs:", withShell, "without a name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := NewPlan(cmdline.Parse(tc.line), tc.image)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("NewPlan(%q) = %v, want an error that says %q", tc.line, err, tc.want)
			}
			if p.Rescue.Do == "" {
				t.Errorf("NewPlan(%q): no rescue policy", tc.line)
			}
		})
	}
}

func TestPolicies(t *testing.T) {
	for _, tc := range []struct {
		name, line string
		image      Image
		onExit     Action
		rescue     Rescue
		warnings   int
	}{
		{"defaults", "", withShell, PowerOff, Rescue{Do: Shell}, 0},
		{"no shell", "", withInitOnly, PowerOff, Rescue{Do: PowerOff}, 0},
		{"no shell and panic", "panic=5", withInitOnly, PowerOff, Rescue{Reboot, 5 * time.Second}, 0},
		{"panic means nobody is there", "panic=10", withShell, PowerOff, Rescue{Reboot, 10 * time.Second}, 0},
		{"panic at once", "panic=-1", withShell, PowerOff, Rescue{Reboot, 0}, 0},
		{"panic=0 is never", "panic=0", withShell, PowerOff, Rescue{Do: Shell}, 0},
		{"a shell all the same", "panic=10 rambox.rescue=shell", withShell, PowerOff, Rescue{Shell, 10 * time.Second}, 0},
		{"no shell in a locked image", "rambox.rescue=shell", lockedApp, PowerOff, Rescue{Do: PowerOff}, 0},
		{"others", "rambox.rescue=halt rambox.onexit=reboot", withShell, Reboot, Rescue{Do: Halt}, 0},
		{"bad values", "rambox.rescue=no rambox.onexit= panic=x", withShell, PowerOff, Rescue{Do: Shell}, 3},
		{"unknown parameter", "rambox.onexti=reboot", withShell, PowerOff, Rescue{Do: Shell}, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, _ := NewPlan(cmdline.Parse(tc.line), tc.image)
			if p.OnExit != tc.onExit {
				t.Errorf("NewPlan(%q).OnExit = %v, want %v", tc.line, p.OnExit, tc.onExit)
			}
			if p.Rescue != tc.rescue {
				t.Errorf("NewPlan(%q).Rescue = %+v, want %+v", tc.line, p.Rescue, tc.rescue)
			}
			if len(p.Warnings) != tc.warnings {
				t.Errorf("NewPlan(%q).Warnings = %q, want %d", tc.line, p.Warnings, tc.warnings)
			}
		})
	}
}

var withInitOnly = Image{Init: true}

func TestPlanRoot(t *testing.T) {
	vda1 := func(edit func(*Root)) Root {
		r := Root{Spec: "/dev/vda1", Kind: RootDevice, Device: Device{Path: "/dev/vda1"}, Flags: msRdonly, Wait: 30 * time.Second}
		edit(&r)
		return r
	}
	plain := func(*Root) {}
	other := func(spec string, kind RootKind, name string, types ...string) Root {
		return Root{Spec: spec, Kind: kind, Name: name, Types: types, Flags: msRdonly, Wait: 30 * time.Second}
	}
	with := func(r Root, edit func(*Root)) Root { edit(&r); return r }
	const p9 = "trans=virtio,version=9p2000.L,msize=262144"
	for _, tc := range []struct {
		name, line string
		want       Root
		loadFor    string
	}{
		{"as the kernel: read-only", "root=/dev/vda1", vda1(plain), ""},
		{"rw", "root=/dev/vda1 rw", vda1(func(r *Root) { r.Flags = 0 }), ""},
		{"the last of ro and rw", "rw root=/dev/vda1 ro", vda1(plain), ""},
		{"types", "root=/dev/vda1 rootfstype=ext4,xfs", vda1(func(r *Root) { r.Types = []string{"ext4", "xfs"} }), "fs-ext4 fs-xfs"},
		{"type auto", "root=/dev/vda1 rootfstype=auto", vda1(plain), ""},
		{"flags", "root=/dev/vda1 rootflags=defaults,noatime,data=journal,x-systemd.growfs,nofail",
			vda1(func(r *Root) { r.Flags, r.Data = msRdonly|msNoatime, "data=journal" }), ""},
		{"waits", "root=/dev/vda1 rootwait rootdelay=2", vda1(func(r *Root) { r.Wait, r.Delay = WaitForever, 2*time.Second }), ""},
		{"waits so long", "root=/dev/vda1 rootwait=7", vda1(func(r *Root) { r.Wait = 7 * time.Second }), ""},
		{"overlay", "root=/dev/vda1 rambox.overlay", vda1(func(r *Root) { r.Overlay = "50%" }), "fs-overlay"},
		{"overlay of a size", "root=/dev/vda1 rambox.overlay=64M", vda1(func(r *Root) { r.Overlay = "64M" }), "fs-overlay"},
		{"no overlay", "root=/dev/vda1 rambox.overlay=0", vda1(plain), ""},
		{"image on a device", "root=/dev/vda1 rambox.file=/live/root.squashfs", vda1(func(r *Root) { r.File = "/live/root.squashfs" }), "loop"},
		{"image in the initramfs", "root=/root.squashfs", other("/root.squashfs", RootFile, "/root.squashfs"), "loop"},
		{"image in the initramfs by scheme", "root=file:/dev.img", other("file:/dev.img", RootFile, "/dev.img"), "loop"},
		{"virtiofs", "root=virtiofs:myfs", other("virtiofs:myfs", RootShare, "myfs", "virtiofs"), "fs-virtiofs"},
		{"virtiofs as the kernel has it", "root=myfs rootfstype=virtiofs", other("myfs", RootShare, "myfs", "virtiofs"), "fs-virtiofs"},
		{"9p", "root=9p:tag", with(other("9p:tag", RootShare, "tag", "9p"), func(r *Root) { r.Data = p9 }), "fs-9p 9pnet_virtio"},
		{"9p with options", "root=/dev/root rootfstype=9p rootflags=trans=virtio,cache=mmap",
			with(other("/dev/root", RootShare, "/dev/root", "9p"), func(r *Root) { r.Data = "trans=virtio,cache=mmap" }), "fs-9p 9pnet_virtio"},
		{"flash", "root=ubi0:rootfs rootfstype=ubifs", other("ubi0:rootfs", RootShare, "ubi0:rootfs", "ubifs"), "fs-ubifs"},
		{"NFS", "root=nfs:10.0.0.1:/srv:soft,rw", with(other("nfs:10.0.0.1:/srv:soft,rw", RootNFS, "10.0.0.1:/srv", "nfs"), func(r *Root) { r.Flags, r.Data = 0, "soft" }), "fs-nfs net-pf-17"},
		{"NFS 4", "root=nfs4:[fd00::1]:/srv", with(other("nfs4:[fd00::1]:/srv", RootNFS, "[fd00::1]:/srv", "nfs"), func(r *Root) { r.Data = "vers=4" }), "fs-nfs net-pf-17"},
		{"NFS as the kernel has it", "root=/dev/nfs nfsroot=10.0.0.1:/srv,vers=3,tcp", with(other("/dev/nfs", RootNFS, "10.0.0.1:/srv", "nfs"), func(r *Root) { r.Data = "vers=3,tcp" }), "fs-nfs net-pf-17"},
		{"NFS that the lease names", "root=/dev/nfs", other("/dev/nfs", RootNFS, ":", "nfs"), "fs-nfs net-pf-17"},
		{"a helper's", "root=https://host/root.squashfs rootwait=9",
			with(other("https://host/root.squashfs", RootHelper, "/lib/rambox/root/https"), func(r *Root) { r.Wait = 9 * time.Second }),
			"net-pf-17"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := NewPlan(cmdline.Parse(tc.line), withShell)
			if err != nil {
				t.Fatalf("NewPlan(%q): %v", tc.line, err)
			}
			if diff := cmp.Diff(tc.want, p.Root); diff != "" {
				t.Errorf("NewPlan(%q).Root (-want +got):\n%s", tc.line, diff)
			}
			if got := strings.Join(p.LoadFor, " "); got != tc.loadFor {
				t.Errorf("NewPlan(%q).LoadFor = %q, want %q", tc.line, got, tc.loadFor)
			}
		})
	}
}

func TestPlanBreaks(t *testing.T) {
	for _, tc := range []struct {
		line  string
		image Image
		want  string
		warns int
	}{
		{"rambox.break=early,handoff", withShell, "early handoff", 0},
		{"rambox.break", withShell, "handoff", 0},
		{"rd.break", withShell, "handoff", 0},
		{"rd.break=pre-mount rd.break=initqueue", withShell, "network modules", 0},
		{"break", withShell, "network", 0},
		{"break=top break=bottom", withShell, "early root", 0},
		{"rambox.break=nowhere", withShell, "", 1},
		{"rambox.break=early", lockedApp, "", 1},
	} {
		p, _ := NewPlan(cmdline.Parse(tc.line), tc.image)
		if got := strings.Join(p.Breaks, " "); got != tc.want || len(p.Warnings) != tc.warns {
			t.Errorf("NewPlan(%q): stops after %q, warnings %q, want %q", tc.line, got, p.Warnings, tc.want)
		}
	}
}

func TestPlanFromImageDefaults(t *testing.T) {
	img := Image{
		Shell:    "/bin/sh",
		Cmdline:  "rambox.onexit=reboot rambox.tty EDITOR=vi TERM=xterm hostname=from-image modules_load=a,b",
		Hostname: "from-file",
		Load:     []string{"dummy"},
	}
	got, err := NewPlan(cmdline.Parse(`hostname=from-kernel modules_load=c module_blacklist=x,y modprobe.blacklist=z dummy.numdummies=2 root=/dev/vda`), img)
	if err != nil {
		t.Fatal(err)
	}
	want := Plan{
		Handoff: ToRoot, Reason: "root=/dev/vda",
		Hostname:    "from-kernel",
		Environ:     []string{"TERM=xterm", "EDITOR=vi"},
		Load:        []string{"dummy", "a", "b", "c"},
		Blacklist:   []string{"x", "y", "z"},
		ModuleParam: map[string]string{"dummy": "numdummies=2", "modprobe": "blacklist=z"},
		OnExit:      Reboot,
		NoPower:     Halt,
		Rescue:      Rescue{Do: Shell},
		TTY:         true,
		Shell:       "/bin/sh",
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Plan{}, "Root", "Init", "Network")); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
}

func TestLockedImageSaysWhatItIgnores(t *testing.T) {
	p, err := NewPlan(cmdline.Parse("rambox.payload=/bin/sh init=/bin/sh"), lockedApp)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"rambox.payload=/bin/sh: ignored, the image is locked", "init=/bin/sh: ignored, the image is locked"}
	if diff := cmp.Diff(want, p.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// TestLockedImageKeepsItsRoot: whoever writes the kernel's line does not choose
// another, nor another digest for it.
func TestLockedImageKeepsItsRoot(t *testing.T) {
	img := Image{Locked: true, Cmdline: "root=https://a/x rambox.digest=sha256:00"}
	p, err := NewPlan(cmdline.Parse("root=/dev/sda1 rambox.digest=sha256:11 rambox.insecure rootwait=5"), img)
	if err != nil {
		t.Fatal(err)
	}
	if p.Root.Spec != "https://a/x" || p.Root.Wait != 5*time.Second || len(p.Warnings) != 3 {
		t.Errorf("root %+v, warnings %q", p.Root, p.Warnings)
	}
	// One that has none leaves it to the line.
	if p, err = NewPlan(cmdline.Parse("root=/dev/sda1"), locked); err != nil || p.Root.Spec != "/dev/sda1" {
		t.Errorf("root %+v, %v", p.Root, err)
	}
}

func TestPlanDebug(t *testing.T) {
	for line, want := range map[string]bool{
		"quiet": false, "loglevel=7": false, "loglevel=8": true, "loglevel=8 loglevel=4": false,
		"debug": true, "debug=1": false, "ignore_loglevel": true,
	} {
		if p, _ := NewPlan(cmdline.Parse(line), Image{}); p.Debug != want {
			t.Errorf("%s: Debug = %v, want %v", line, p.Debug, want)
		}
	}
}
