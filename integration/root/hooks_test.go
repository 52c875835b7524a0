//go:build linux

package root

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rambox/internal/kernels"
	"rambox/internal/vmtest"
)

var stages = [...]string{"early", "modules", "network", "root", "handoff"}

// hook says its name and its arguments.
const hook = `#!/bin/sh
echo "hook $0: $*"
`

// TestHooks runs two for each stage, and one that fails, one that is no program
// and one that reads its standard input.
func TestHooks(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, k kernels.Kernel) {
		d := disks(ext4(t, tree(t, "hooked", `echo "== the colour is $colour"`), "-L", "hooked"))
		initrd := image(t, k, nil, func(dir string) {
			for _, stage := range stages {
				vmtest.WriteFile(t, dir, "lib/rambox/hooks/"+stage+".d/10-first", 0o755, hook)
				vmtest.WriteFile(t, dir, "lib/rambox/hooks/"+stage+".d/20-second", 0o755, hook)
			}
			vmtest.WriteFile(t, dir, "etc/rambox/cmdline", 0o644, "colour=red from.image=\"1 2\"\n")
			vmtest.WriteFile(t, dir, "lib/rambox/hooks/modules.d/15-fails", 0o755, "#!/bin/sh\necho the key is not there\nexit 3\n")
			vmtest.WriteFile(t, dir, "lib/rambox/hooks/network.d/15-not-executable", 0o644, "#!/bin/sh\necho no\n")
			vmtest.WriteFile(t, dir, "lib/rambox/hooks/network.d/30-env", 0o755,
				"#!/bin/sh\necho \"line: $RAMBOX_CMDLINE;\"\necho \"COLOUR is $colour, path $PATH\"\nread -r x || echo no input\n")
			vmtest.WriteFile(t, dir, "lib/rambox/hooks/root.d/30-sees", 0o755, "#!/bin/sh\necho \"the root is $(cat /newroot/etc/name)\"\n")
		})
		out := boots(t, vmtest.VM{Kernel: k, Initrd: initrd, Disks: d, Append: `root=LABEL=hooked colour=blue of.line="a b"`}, "hooked",
			"the key is not there", "hook: /lib/rambox/hooks/modules.d/15-fails: exit 3",
			"15-not-executable", "COLOUR is blue, path /usr/local/sbin:", "no input", "the root is hooked",
			// Of what the image and the line both have the line's comes last.
			`line: colour=red from.image="1 2" `, ` colour=blue of.line="a b";`, "== the colour is blue")
		var got, want []string
		for line := range strings.Lines(vmtest.Programs(out)) {
			if line, ok := strings.CutPrefix(strings.TrimSpace(line), "hook /lib/rambox/hooks/"); ok {
				got = append(got, line)
			}
		}
		for _, stage := range stages {
			want = append(want, stage+".d/10-first: "+stage, stage+".d/20-second: "+stage)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("hooks (-want +got):\n%s", diff)
		}
	})
}

// TestHookOpensTheRoot makes the root's device appear by a hook, as one for an
// encrypted disk would.
func TestHookOpensTheRoot(t *testing.T) {
	t.Parallel()
	k := vmtest.CloudKernel(t)
	initrd := image(t, k, layered, file(t, squashfs(t, tree(t, "opened", "")), "root.squashfs"),
		script(t, "lib/rambox/hooks/modules.d/10-open", "#!/bin/sh\nbusybox modprobe loop\nbusybox losetup /dev/loop3 /root.squashfs && echo opened\n"))
	boots(t, vmtest.VM{Kernel: k, Initrd: initrd, Append: "root=/dev/loop3"}, "opened", "== from /dev/loop3, squashfs, ro")
}

func TestBreak(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	d := disks(ext4(t, tree(t, "broken", ""), "-L", "root"))
	initrd := image(t, k, nil)
	for _, tc := range []struct{ line, stage, probe, says string }{
		{"rambox.break=early", "early", "busybox pidof rambox-net || echo no-''net", "no-net"},
		{"rambox.break=root", "root", "echo name-$(cat /newroot/etc/name)", "name-broken"},
		{"rambox.break", "handoff", "echo name-$(cat /newroot/etc/name)", "name-broken"},
		{"rd.break", "handoff", "echo name-$(cat /newroot/etc/name)", "name-broken"},
		{"rd.break=pre-mount", "network", "ls /newroot/etc || echo not-''yet", "not-yet"},
		{"break=premount", "network", "ls /newroot/etc || echo not-''yet", "not-yet"},
	} {
		t.Run(tc.line, func(t *testing.T) {
			g := vmtest.Start(t, vmtest.VM{Kernel: k, Initrd: initrd, Disks: d, Append: "root=LABEL=root " + tc.line + " " + quiet})
			g.Expect(`--- rambox: stopped after the stage "` + tc.stage + `" (rambox.break=) ---`)
			g.Expect("Leave the shell (exit) to go on.")
			g.Expect("# ")
			g.Send(tc.probe + "\n")
			g.Expect(tc.says)
			g.Expect("# ")
			g.Send("exit\n")
			g.Expect("== this is root broken")
			vmtest.Contains(t, g.End(), "Power down")
		})
	}
}

// TestBreakTwice stops at two stages, and takes no notice of one that there is
// not.
func TestBreakTwice(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	g := vmtest.Start(t, vmtest.VM{Kernel: k, Initrd: image(t, k, nil), Disks: disks(ext4(t, tree(t, "twice", ""))),
		Append: "root=/dev/vda rambox.break=modules,root,lunch"})
	g.Expect("no such stage; want early, modules, network, root or handoff")
	for _, stage := range []string{"modules", "root"} {
		g.Expect(`stopped after the stage "` + stage)
		g.Expect("# ")
		g.Send("exit\n")
	}
	g.Expect("== this is root twice")
	vmtest.Contains(t, g.End(), "Power down")
}

// TestBreakThenPowerOff ends the machine from the shell.
func TestBreakThenPowerOff(t *testing.T) {
	t.Parallel()
	k := vmtest.RunKernel(t)
	g := vmtest.Start(t, vmtest.VM{Kernel: k, Initrd: image(t, k, nil), Disks: disks(ext4(t, tree(t, "off", ""))), Append: "root=/dev/vda rambox.break=root"})
	g.Expect("# ")
	g.Send("busybox poweroff\n")
	out := g.End()
	vmtest.Contains(t, out, "Power down")
	vmtest.Lacks(t, out, "did not boot", "== this is root")
}
