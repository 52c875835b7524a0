//go:build linux

package run

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rambox/internal/vmtest"
)

// TestWhatToDo: whatever keeps a machine from starting is told in one line that
// says what to do about it.
func TestWhatToDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cloud := vmtest.CloudKernel(t)
	big := filepath.Join(dir, "big")
	vmtest.WriteFile(t, dir, "big", 0o644, "")
	if err := os.Truncate(big, 80<<20); err != nil {
		t.Fatal(err)
	}
	// A kernel with a configuration of ours beside it.
	vmtest.Copy(t, cloud.Path, filepath.Join(dir, "boot"), "vmlinuz")
	vmtest.WriteFile(t, dir, "boot/config-"+cloud.Release, 0o644, "CONFIG_64BIT=y\nCONFIG_TMPFS=y\n# CONFIG_BLK_DEV_INITRD is not set\n")
	vmtest.WriteFile(t, dir, "empty/file", 0o644, "")
	busybox := vmtest.Busybox
	for _, tc := range []struct {
		name   string
		env    []string
		args   []string
		status int
		want   string // a pattern
	}{
		{"no QEMU", []string{"PATH=" + dir}, []string{"--kernel", cloud.Path, "--busybox", busybox, "--", "true"}, 125,
			`.*qemu-system-x86_64.* \(Debian: apt-get install qemu-system-x86\)`},
		{"no kernel", []string{"RAMBOX_CACHE=" + dir + "/empty"}, []string{"--kernel", "cloud", "--", "true"}, 125,
			`kernel cloud is neither a file nor in the cache nor readable in /boot; run: rambox kernel fetch.*`},
		{"a kernel that takes no image", nil, []string{"--kernel", dir + "/boot/vmlinuz", "--", "true"}, 125,
			`kernel ` + dir + `/boot/vmlinuz was built without CONFIG_BLK_DEV_INITRD \(` + dir + `/boot/config-.*\): it takes no image; set that and build it again, or name another kernel`},
		{"a kernel that is none", nil, []string{"--kernel", big, "--", "true"}, 125,
			`read kernel ` + big + `: not a Linux kernel: neither bzImage, .* nor vmlinux`},
		{"a kernel that is a directory", nil, []string{"--kernel", dir + "/boot", "--", "true"}, 125,
			`read kernel ` + dir + `/boot: .*is a directory`},
		{"too little memory", nil, []string{"--kernel", cloud.Path, "--add", big + ":/big", "--", "true"}, 125,
			`256 MiB of memory are too little: the image has 8\d MiB and takes 3 times that while it is unpacked, and the kernel \d\d MiB; give --memory 384M`},
		{"too little memory for the kernel", nil, []string{"--kernel", cloud.Path, "--memory", "32M", "--", "true"}, 125,
			`32 MiB of memory are too little: .*; give --memory 128M`},
		{"no busybox", []string{"PATH=" + dir}, []string{"--kernel", cloud.Path, "--", "uname", "-a"}, 127,
			`payload uname: .*; there is no busybox here either, which might have it \(Debian: apt-get install busybox-static, or name one with --busybox\)`},
		{"no such disk", nil, []string{"--kernel", cloud.Path, "--disk", "/no/such/disk", "--", "true"}, 125,
			`--disk /no/such/disk: stat /no/such/disk: no such file or directory`},
		{"more memory than the host has", nil, []string{"--kernel", cloud.Path, "--memory", "100000G", "--accel", "tcg", "--", "true"}, 125,
			`.*memory.*`},
		{"an escape key that is none", nil, []string{"--escape", "a", "--", "true"}, 125,
			`--escape a: want ctrl-a to ctrl-z, .*or none`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cmd := exec.Command(vmtest.Rambox(t), append([]string{"run"}, tc.args...)...)
			cmd.Env = append(os.Environ(), tc.env...)
			expectRefusal(t, cmd, tc.status, tc.want)
		})
	}
}

// expectRefusal runs a command that must end with a status and one line of a
// pattern.
func expectRefusal(t *testing.T, cmd *exec.Cmd, status int, pattern string) {
	t.Helper()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != status {
		t.Errorf("%q: %v, want status %d\n%s", cmd.Args, err, status, &errs)
	}
	if !regexp.MustCompile(`^rambox: ` + pattern + "\n$").MatchString(errs.String()) {
		t.Errorf("%q: error %q, want %q", cmd.Args, errs.String(), pattern)
	}
}

// TestEnoughMemory: what is asked for when there is too little is enough.
func TestEnoughMemory(t *testing.T) {
	t.Parallel()
	big := filepath.Join(t.TempDir(), "big")
	vmtest.WriteFile(t, filepath.Dir(big), "big", 0o644, "")
	if err := os.Truncate(big, 80<<20); err != nil {
		t.Fatal(err)
	}
	got := runCloud(t, nil, "--memory", "384M", "--add", big+":/big", "--", "busybox", "stat", "-c", "%s", "/big")
	if got.status != 0 || got.stdout != fmt.Sprintln(80<<20) {
		t.Errorf("status %d, output %q, error %q", got.status, got.stdout, got.stderr)
	}
}

// TestDiskInUse: two machines cannot write to one disk.
func TestDiskInUse(t *testing.T) {
	t.Parallel()
	disk := filepath.Join(t.TempDir(), "disk.img")
	vmtest.WriteFile(t, filepath.Dir(disk), "disk.img", 0o644, "")
	if err := os.Truncate(disk, 1<<20); err != nil {
		t.Fatal(err)
	}
	g := startGuest(t, nil, "--disk", disk, "--", "sh", "-c", "echo up; cat")
	if got := g.line(); got != "up" {
		t.Errorf("the guest says %q", got)
	}
	for _, more := range []string{"", ",ro"} {
		cmd := exec.Command(vmtest.Rambox(t), "run", "--kernel", kernel(t), "--disk", disk+more, "--", "true")
		expectRefusal(t, cmd, 125, `disk `+disk+` is in use by another QEMU: end that one, or give it to both with ,ro`)
	}
	g.end()
}

// TestKVMNotAllowed is a user who is not in the group kvm.
func TestKVMNotAllowed(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	vmtest.Copy(t, kernel(t), dir, "kernel")
	vmtest.Copy(t, vmtest.Rambox(t), dir, "rambox")
	vmtest.Copy(t, vmtest.Init(t), dir, "init")
	// /dev is hidden in the mount namespace of this command only.
	cmd := exec.Command("unshare", "-m", "sh", "-ec", `
		cd "$1"
		mount -t tmpfs -o mode=755 none mnt
		for n in null zero urandom random; do touch mnt/$n; mount --bind /dev/$n mnt/$n; done
		mknod -m 660 mnt/kvm c 10 232
		mount --move mnt /dev
		exec setpriv --reuid 65534 --regid 65534 --clear-groups ./rambox run --kernel ./kernel --accel kvm -- true`, "sh", dir)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	expectRefusal(t, cmd, 125, `accelerator kvm: no permission to open /dev/kvm: become a member of its group \(usermod -aG kvm \$USER, and log in again\); --accel auto does without where it must`)
}

// TestInstalled runs from where make install has put things: without the tree
// that they were built in.
func TestInstalled(t *testing.T) {
	t.Parallel()
	dest := t.TempDir()
	vmtest.Command(t, "make", "-s", "-C", vmtest.Root(t), "install", "DESTDIR="+dest, "PREFIX=/usr")
	usr := filepath.Join(dest, "usr")
	for name, want := range map[string]string{
		"share/man/man1/rambox-run.1":                 "ctrl-a",
		"share/man/man1/rambox.1":                     "SEE ALSO",
		"share/bash-completion/completions/rambox":    "complete -",
		"share/zsh/site-functions/_rambox":            "#compdef rambox",
		"share/fish/vendor_completions.d/rambox.fish": "complete -c rambox",
	} {
		b, err := os.ReadFile(filepath.Join(usr, name))
		if err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s: %v; want %q in it", name, err, want)
		}
	}
	// Beside the program is another init, as in a /usr/bin.
	vmtest.WriteFile(t, usr, "bin/init", 0o755, "#!/bin/false\n")
	cmd := exec.Command(filepath.Join(usr, "bin/rambox"), "run", "--kernel", kernel(t), "--", "echo", "installed")
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "installed\n" {
		t.Errorf("%q: %v, output %q", cmd.Args, err, out)
	}
	complete := exec.Command(filepath.Join(usr, "bin/rambox"), "__complete", "run", "--kernel", "clo")
	if out, err := complete.Output(); err != nil || !strings.Contains(string(out), "cloud\t") {
		t.Errorf("--kernel clo is completed to %q, %v", out, err)
	}
}
