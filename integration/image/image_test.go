//go:build linux

// Package image boots images of every compression on a real kernel.
package image

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"rambox/internal/image"
	"rambox/internal/vmtest"
)

// witness is an init that tells what the kernel has made of an image.
const witness = `#include <fcntl.h>
#include <stdio.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

static void show(const char *name)
{
	char text[64] = "";
	int fd = open(name, O_RDONLY);
	if (fd >= 0 && read(fd, text, sizeof text - 1) < 0)
		text[0] = 0;
	printf("%s is <%s>\n", name, text);
}

int main(void)
{
	struct stat st = {0};
	show("/etc/rambox/nonce");
	show("/etc/rambox/cmdline");
	stat("/tmp", &st);
	printf("/tmp has mode %o\n", st.st_mode);
	stat("/dev/null", &st);
	printf("/dev/null is %o %lx\n", st.st_mode, (long)st.st_rdev);
	stat("/noise", &st);
	printf("/noise has %ld bytes\n", (long)st.st_size);
	fflush(stdout);
	reboot(RB_POWER_OFF);
}
`

// The kernel unpacks what we pack, and what we append to it.
func TestKernelUnpacks(t *testing.T) {
	kernel := vmtest.CloudKernel(t)
	program := vmtest.Program(t, witness)
	for _, c := range append(image.Compressions(), image.ZstdBest, image.XZBest) {
		t.Run(string(c), func(t *testing.T) {
			t.Parallel()
			boot(t, vmtest.VM{Kernel: kernel}, program, c, 5000)
		})
	}
	// unlz4 reads on behind a stream unless four zero bytes follow.
	for size := range 512 {
		if n := len(pack(t, program, image.LZ4, 5000+size)) % 512; n == 0 || n > 508 {
			t.Run("lz4 before little padding", func(t *testing.T) {
				t.Parallel()
				boot(t, vmtest.VM{Kernel: kernel}, program, image.LZ4, 5000+size)
			})
			break
		}
	}
}

// pack makes an image with so many bytes of noise.
func pack(t *testing.T, program string, c image.Compression, noise int) []byte {
	t.Helper()
	data := make([]byte, noise)
	rand.NewChaCha8([32]byte{}).Read(data)
	tree, _, err := image.Assemble(image.Spec{
		Init: program, Cmdline: "quiet", Nonce: "first",
		Add: []image.Add{image.AddFile("noise", 0o644, data)},
	})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := tree.Write(&out, c); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func boot(t *testing.T, vm vmtest.VM, program string, c image.Compression, noise int) {
	t.Helper()
	packed := pack(t, program, c, noise)
	over, err := image.Overlay(int64(len(packed)), image.Settings{Nonce: "second"})
	if err != nil {
		t.Fatal(err)
	}
	vm.Initrd = filepath.Join(t.TempDir(), "initramfs")
	if err := os.WriteFile(vm.Initrd, append(packed, over...), 0o600); err != nil {
		t.Fatal(err)
	}
	vmtest.Contains(t, vmtest.Boot(t, vm),
		"/etc/rambox/nonce is <second>", "/etc/rambox/cmdline is <quiet>",
		"/tmp has mode 41777", "/dev/null is 20666 103", "/noise has 5")
}
