package main

import (
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"rambox/pkg/boot"
	"rambox/pkg/cmdline"
)

func TestLacking(t *testing.T) {
	files := fstest.MapFS{
		"lib/modules/6.1/modules.dep":             {Data: []byte("kernel/fs/xfs/xfs.ko:\n")},
		"lib/modules/6.1/modules.alias":           {Data: []byte("alias fs-xfs xfs\n")},
		"lib/modules/6.1/modules.builtin":         {Data: []byte("kernel/fs/ext4/ext4.ko\n")},
		"lib/modules/6.1/modules.builtin.modinfo": {Data: []byte("ext4.alias=fs-ext4\x00")},
		"lib/rambox/root/http":                    {Mode: 0o755},
	}
	for line, want := range map[string][]string{
		"root=/dev/vda rootfstype=xfs":   nil,
		"root=/dev/vda rootfstype=ext4":  nil,
		"root=/dev/vda rootfstype=btrfs": {"fs-btrfs: neither in the image nor built into the kernel 6.1"},
		"root=/dev/vda modules_load=nbd": {"nbd: neither in the image nor built into the kernel 6.1"},
		"root=http://host/x ip=off":      nil,
		"root=s3:bucket ip=off":          {"the image has no helper /lib/rambox/root/s3, which root=s3:bucket needs"},
	} {
		p, err := boot.NewPlan(cmdline.Parse(line), boot.Image{Shell: "/bin/sh"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, lacking(p, files)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
}
