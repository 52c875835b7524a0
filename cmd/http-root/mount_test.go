//go:build linux

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// makeImage makes a file system with a file "hello" in it.
func makeImage(t *testing.T, program string, args ...string) []byte {
	t.Helper()
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(filepath.Join(dir, "hello"), []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	for i, a := range args {
		args[i] = strings.NewReplacer("DIR", dir, "FILE", file).Replace(a)
	}
	tool(t, nil, program, args...)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func makeSquashfs(t *testing.T) []byte {
	return makeImage(t, "mksquashfs", "DIR", "FILE", "-quiet", "-no-progress", "-comp", "gzip")
}

func makeExt(t *testing.T, kind string) []byte {
	return makeImage(t, "mke2fs", "-q", "-t", kind, "-d", "DIR", "FILE", "8M")
}

// TestMountImage mounts what the host's programs have made, by loop devices.
func TestMountImage(t *testing.T) {
	for _, tc := range []struct {
		name     string
		image    func(t *testing.T) []byte
		plan     plan
		fsType   string
		writable bool
		log      string
	}{
		{name: "squashfs", image: makeSquashfs, fsType: "squashfs"},
		{name: "squashfs, rw", image: makeSquashfs, plan: plan{access: readWrite}, fsType: "squashfs", log: "squashfs is read-only, whatever rw says"},
		{name: "erofs", image: func(t *testing.T) []byte { return makeImage(t, "mkfs.erofs", "FILE", "DIR") }, fsType: "erofs"},
		{name: "ext4", image: func(t *testing.T) []byte { return makeExt(t, "ext4") }, fsType: "ext4"},
		{name: "ext4, rw", image: func(t *testing.T) []byte { return makeExt(t, "ext4") }, plan: plan{access: readWrite, data: "nobarrier"}, fsType: "ext4", writable: true},
		{name: "ext3", image: func(t *testing.T) []byte { return makeExt(t, "ext3") }, fsType: "ext4"},
		{name: "ext2", image: func(t *testing.T) []byte { return makeExt(t, "ext2") }, fsType: "ext4"},
		{name: "ext2 by name", image: func(t *testing.T) []byte { return makeExt(t, "ext2") }, plan: plan{types: []string{"squashfs", "ext2"}}, fsType: "ext2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			privateMounts(t)
			tc.plan.target = newTarget(t)
			tc.plan.flags = unix.MS_NOATIME
			img := newTestImage(t, tc.image(t))
			kind, err := img.format()
			if err != nil {
				t.Fatal(err)
			}
			log := &journal{}
			if err := tc.plan.mountImage(img, kind, logger{log}); err != nil {
				t.Fatalf("mountImage: %v", err)
			}
			img.file.Close() // the loop device alone holds it now
			source, fsType, options := mountOf(t, tc.plan.target)
			if fsType != tc.fsType || !strings.HasPrefix(source, "/dev/loop") || !strings.Contains(options, "noatime") {
				t.Errorf("mounted is %s %s %s, want %s from a loop device with noatime", source, fsType, options, tc.fsType)
			}
			if b, err := os.ReadFile(filepath.Join(tc.plan.target, "hello")); string(b) != "hello" {
				t.Errorf("hello has %q, %v", b, err)
			}
			err = os.WriteFile(filepath.Join(tc.plan.target, "new"), []byte("new"), 0o644)
			if tc.writable != (err == nil) || !tc.writable && !errors.Is(err, unix.EROFS) {
				t.Errorf("write a file: %v, want writable %v", err, tc.writable)
			}
			mentions(t, log.String(), tc.log, tc.fsType+" mounted on "+tc.plan.target+" from "+source)

			device, err := os.Open(source)
			if err != nil {
				t.Fatal(err)
			}
			defer device.Close()
			info, err := unix.IoctlLoopGetStatus64(int(device.Fd()))
			if err != nil || info.Flags&unix.LO_FLAGS_AUTOCLEAR == 0 {
				t.Errorf("the loop device will not let go of the image: %+v, %v", info, err)
			}
		})
	}
}

// mountOf returns what is mounted on dir.
func mountOf(t *testing.T, dir string) (source, fsType, options string) {
	t.Helper()
	text, err := os.ReadFile("/proc/thread-self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); f[1] == dir {
			source, fsType, options = f[0], f[2], f[3]
		}
	}
	return source, fsType, options
}

func TestMountImageFails(t *testing.T) {
	damaged := func(image []byte, at int, with string) []byte {
		copy(image[at:], with)
		return image
	}
	for _, tc := range []struct {
		name  string
		image func(t *testing.T) []byte
		plan  plan
		want  []string
	}{
		{name: "a web page", image: func(*testing.T) []byte { return []byte("<html>\x1b[31m") }, want: []string{`it begins with "<html>\x1b[31m"`, "squashfs, erofs, ext2/3/4"}},
		{name: "nothing", image: func(*testing.T) []byte { return nil }, want: []string{`it begins with ""`}},
		{name: "no such file system", image: makeSquashfs, plan: plan{types: []string{"beosfs"}}, want: []string{"no such device", "no beosfs, nor has the initramfs the module beosfs"}},
		{name: "another file system", image: makeSquashfs, plan: plan{types: []string{"ext4", "erofs"}}, want: []string{"mount ext4 from /dev/loop", "; mount erofs from", "is no erofs"}},
		{name: "an unknown compression", image: func(t *testing.T) []byte { return damaged(makeSquashfs(t), 20, "\x02\x00") }, want: []string{"lacks its compression, which is lzma"}},
		{name: "a bad option", image: makeSquashfs, plan: plan{data: "nonsense"}, want: []string{"invalid argument"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			privateMounts(t)
			tc.plan.target = newTarget(t)
			img := newTestImage(t, tc.image(t))
			kind, err := img.format()
			if err != nil {
				t.Fatal(err)
			}
			err = tc.plan.mountImage(img, kind, logger{&journal{}})
			if err == nil {
				t.Fatal("no error")
			}
			mentions(t, err.Error(), tc.want...)
			if isMounted(t, tc.plan.target) {
				t.Error("something is mounted")
			}
		})
	}
}

// TestMountDirty mounts an ext4 that nobody has unmounted.
func TestMountDirty(t *testing.T) {
	privateMounts(t)
	work := newTarget(t)
	live := newTestImage(t, makeExt(t, "ext4"))
	if err := (plan{target: work, access: readWrite}).mountImage(live, extFS, logger{&journal{}}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(work, "new"), []byte("new"), 0o644); err != nil {
		t.Fatal(err)
	}
	unix.Sync()
	dirty := content(t, live)

	target := newTarget(t)
	img := newTestImage(t, dirty)
	err := (plan{target: target}).mountImage(img, extFS, logger{&journal{}})
	if err == nil {
		t.Fatal("read-only: no error")
	}
	mentions(t, err.Error(), "give rw, or rootflags=noload")
	for _, p := range []plan{{target: target, data: "noload"}, {target: target, access: readWrite}} {
		if err := p.mountImage(newTestImage(t, dirty), extFS, logger{&journal{}}); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
}
