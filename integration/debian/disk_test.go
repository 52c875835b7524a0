//go:build linux

package debian

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

// The names that the file systems and their partitions go by.
const (
	fsUUID    = "6f9d0c39-52a4-4a5e-8b37-0d1c8f5e7a21"
	fsLabel   = "debian"
	partUUID  = "c2a1f4de-9b60-4a7d-9f0e-4b6a3d5c1e07"
	partLabel = "Debian root"
	diskID    = "5ca1ab1e" // of an MBR
)

// fsSize is the size of a file system that can be written to, in MiB.
const fsSize = 512

// fileSystem puts root on a file system of type typ, with the fstab that
// Debian's installer writes for it, and returns the file that holds it.
func fileSystem(t *testing.T, root, typ string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), typ)
	fstab := "UUID=" + fsUUID + " / " + typ + " defaults 0 0\n"
	switch typ {
	case "ext4":
		fstab = "UUID=" + fsUUID + " / ext4 errors=remount-ro 0 1\n"
	case "squashfs":
		fstab = "" // it is the lower half of an overlay
	}
	vmtest.WriteFile(t, root, "etc/fstab", 0o644, fstab)
	switch typ {
	case "ext4":
		vmtest.Command(t, "mke2fs", "-q", "-t", typ, "-U", fsUUID, "-L", fsLabel, "-d", root, file, fmt.Sprint(fsSize, "M"))
	case "xfs":
		vmtest.Command(t, "mkfs.xfs", "-q", "-m", "uuid="+fsUUID, "-L", fsLabel, "-d", fmt.Sprint("file,size=", fsSize, "m,name=", file))
		// mkfs.xfs 6.1 cannot copy a directory. nouuid: another run of this
		// test may have the same one mounted.
		vmtest.Command(t, "unshare", "--mount", "sh", "-ec", `mount -o loop,nouuid "$1" "$2"; cp -a "$3/." "$2"; umount "$2"`,
			"sh", file, t.TempDir(), root)
	case "btrfs":
		truncate(t, file, fsSize)
		vmtest.Command(t, "mkfs.btrfs", "-q", "-U", fsUUID, "-L", fsLabel, "--rootdir", root, file)
	case "squashfs":
		vmtest.Command(t, "mksquashfs", root, file, "-quiet", "-no-progress", "-comp", "zstd", "-Xcompression-level", "1")
	default:
		t.Fatalf("file system %s: not known here", typ)
	}
	return file
}

// The tables have the root last, at 5 MiB, with something before it.
const (
	gpt = `label: gpt
start=1MiB, size=1MiB, name="other"
start=5MiB, size=%dMiB, name="` + partLabel + `", uuid=` + partUUID + "\n"

	// mbr has the root on its second logical partition, which is number 6.
	mbr = `label: dos
label-id: 0x` + diskID + `
start=1MiB, size=1MiB
start=2MiB, type=5
start=3MiB, size=512KiB
start=5MiB, size=%dMiB
`
)

// disk makes the disk of a file system: that itself, or one with a partition
// table.
func disk(t *testing.T, file, table string) qemu.Disk {
	t.Helper()
	if table == "" {
		return qemu.Disk{Path: file}
	}
	st, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	size := (st.Size() + 1<<20 - 1) >> 20
	whole := filepath.Join(t.TempDir(), "disk")
	truncate(t, whole, size+8)
	cmd := exec.Command("/sbin/sfdisk", "--quiet", whole)
	cmd.Stdin = strings.NewReader(fmt.Sprintf(table, size))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, out)
	}
	vmtest.Command(t, "dd", "status=none", "bs=1M", "seek=5", "conv=notrunc,sparse", "if="+file, "of="+whole)
	return qemu.Disk{Path: whole}
}

func truncate(t *testing.T, file string, megabytes int64) {
	t.Helper()
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, megabytes<<20); err != nil {
		t.Fatal(err)
	}
}
