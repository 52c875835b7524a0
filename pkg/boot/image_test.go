package boot

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func file(content string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(content), Mode: 0o755} }

func TestReadImage(t *testing.T) {
	for _, tc := range []struct {
		name string
		fs   fstest.MapFS
		want Image
	}{
		{"empty", fstest.MapFS{}, Image{}},
		{"the first shell", fstest.MapFS{"bin/bash": file(""), "bin/busybox": file("")}, Image{Shell: "/bin/busybox"}},
		{"all", fstest.MapFS{
			"etc/rambox/cmdline":        file("quiet a=b\n"),
			"etc/rambox/payload":        file("/app\x00\x00two words\x00"),
			"etc/rambox/environ":        file("A=b c\x00D=\xff\n\x00"),
			"etc/rambox/locked":         file(""),
			"etc/rambox/nonce":          file("abc"),
			"etc/hostname":              file(" node7\n"),
			"etc/fstab":                 file("tmpfs /x tmpfs\n"),
			"bin/sh":                    file(""),
			"sbin/init":                 file(""),
			"etc/modules-load.d/a.conf": file("# comment\nloop\n; other\n\n  dm_mod  \n"),
			"etc/modules-load.d/b.txt":  file("not-read\n"),
			"lib/modules-load.d/a.conf": file("hidden\n"),
			"lib/modules-load.d/c.conf": file("fuse"),
		}, Image{
			Cmdline: "quiet a=b\n", Payload: []string{"/app", "", "two words"}, Environ: []string{"A=b c", "D=\xff\n"}, Locked: true, Hosted: true,
			Shell: "/bin/sh", Init: true, Hostname: "node7", Mounts: []Mount{{"tmpfs", "/x", "tmpfs", 0, "", false}},
			Load: []string{"loop", "dm_mod", "fuse"},
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ReadImage(tc.fs)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("image (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadImageReportsWhatItCannotRead(t *testing.T) {
	img, err := ReadImage(fstest.MapFS{"etc/fstab": file("x\n"), "bin/sh": file("")})
	if err == nil || !strings.Contains(err.Error(), "fstab line 1") || img.Shell != "/bin/sh" {
		t.Errorf("ReadImage = %+v, %v; want the shell, and an error that names the line", img, err)
	}
}
