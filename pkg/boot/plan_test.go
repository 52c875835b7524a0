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
		{"root that is no device", "root=vda", withShell, "root=vda: want the path of a block device"},
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
	for _, tc := range []struct {
		name, line string
		want       Root
		loadFor    []string
	}{
		{"as the kernel: read-only", "root=/dev/vda1", Root{Device: "/dev/vda1", Flags: msRdonly, Wait: 30 * time.Second}, nil},
		{"rw", "root=/dev/vda1 rw", Root{Device: "/dev/vda1", Wait: 30 * time.Second}, nil},
		{"the last of ro and rw", "rw root=/dev/vda1 ro", Root{Device: "/dev/vda1", Flags: msRdonly, Wait: 30 * time.Second}, nil},
		{"types", "root=/dev/vda1 rootfstype=ext4,xfs", Root{Device: "/dev/vda1", Types: []string{"ext4", "xfs"}, Flags: msRdonly, Wait: 30 * time.Second}, []string{"fs-ext4", "fs-xfs"}},
		{"type auto", "root=/dev/vda1 rootfstype=auto", Root{Device: "/dev/vda1", Flags: msRdonly, Wait: 30 * time.Second}, nil},
		{"flags", "root=/dev/vda1 rootflags=defaults,noatime,data=journal,x-systemd.growfs,nofail", Root{Device: "/dev/vda1", Flags: msRdonly | msNoatime, Data: "data=journal", Wait: 30 * time.Second}, nil},
		{"waits", "root=/dev/vda1 rootwait rootdelay=2", Root{Device: "/dev/vda1", Flags: msRdonly, Wait: WaitForever, Delay: 2 * time.Second}, nil},
		{"waits so long", "root=/dev/vda1 rootwait=7", Root{Device: "/dev/vda1", Flags: msRdonly, Wait: 7 * time.Second}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, err := NewPlan(cmdline.Parse(tc.line), withShell)
			if err != nil {
				t.Fatalf("NewPlan(%q): %v", tc.line, err)
			}
			if diff := cmp.Diff(tc.want, p.Root); diff != "" {
				t.Errorf("NewPlan(%q).Root (-want +got):\n%s", tc.line, diff)
			}
			if diff := cmp.Diff(tc.loadFor, p.LoadFor); diff != "" {
				t.Errorf("NewPlan(%q).LoadFor (-want +got):\n%s", tc.line, diff)
			}
		})
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
