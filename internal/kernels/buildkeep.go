package kernels

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// keyFile, in a built kernel's directory, has the digest of what it was built from.
const keyFile = "key"

// cached is the kernel in the cache, if it was built from the same things.
func (b *build) cached(key string) (Kernel, bool) {
	have, err := os.ReadFile(filepath.Join(b.dir, keyFile))
	if err != nil || string(have) != key {
		return Kernel{}, false
	}
	found := images(filepath.Join(b.dir, "boot"), OriginCache, b.dir)
	if len(found) == 0 {
		return Kernel{}, false
	}
	return found[0], true // the bootable image comes before vmlinux
}

// keep puts what was built into the cache, in the place of an older build:
//
//	boot/vmlinuz-RELEASE  bzImage or Image
//	boot/vmlinux-RELEASE  x86: without symbols, still with its PVH entry
//	boot/config-RELEASE
//	debug/vmlinux-RELEASE  with symbols, for a debugger
//	key
func (b *build) keep(ctx context.Context, key string) (Kernel, error) {
	release, err := os.ReadFile(filepath.Join(b.out, "include", "config", "kernel.release"))
	if err != nil {
		return Kernel{}, fmt.Errorf("read the built kernel's release: %w", err)
	}
	suffix := "-" + strings.TrimSpace(string(release))
	if err := os.MkdirAll(filepath.Dir(b.dir), 0o755); err != nil {
		return Kernel{}, err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(b.dir), ".build-")
	if err != nil {
		return Kernel{}, err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return Kernel{}, err
	}
	boot := filepath.Join(tmp, "boot")
	if err := os.Mkdir(boot, 0o755); err != nil {
		return Kernel{}, err
	}
	image := filepath.Join(b.out, "arch", b.target.dir, "boot", b.target.image)
	if err := copyFile(filepath.Join(boot, "vmlinuz"+suffix), image); err != nil {
		return Kernel{}, err
	}
	if err := copyFile(filepath.Join(boot, "config"+suffix), filepath.Join(b.out, ".config")); err != nil {
		return Kernel{}, err
	}
	debug := filepath.Join(tmp, debugDir)
	if err := os.Mkdir(debug, 0o755); err != nil {
		return Kernel{}, err
	}
	if err := copyFile(filepath.Join(debug, "vmlinux"+suffix), filepath.Join(b.out, "vmlinux")); err != nil {
		return Kernel{}, err
	}
	if b.target.pvh {
		strip := exec.CommandContext(ctx, b.target.prefix()+"strip", "-s",
			"-o", filepath.Join(boot, "vmlinux"+suffix), filepath.Join(b.out, "vmlinux"))
		if out, err := strip.CombinedOutput(); err != nil {
			return Kernel{}, fmt.Errorf("strip vmlinux: %w: %s", err, out)
		}
	}
	if err := os.WriteFile(filepath.Join(tmp, keyFile), []byte(key), 0o644); err != nil {
		return Kernel{}, err
	}
	if err := os.RemoveAll(b.dir); err != nil {
		return Kernel{}, err
	}
	if err := os.Rename(tmp, b.dir); err != nil {
		return Kernel{}, err
	}
	k, ok := b.cached(key)
	if !ok {
		return Kernel{}, fmt.Errorf("no kernel image came out of the build in %s", b.out)
	}
	return k, nil
}

func copyFile(dst, src string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return fmt.Errorf("copy %s to %s: %w", src, dst, err)
	}
	return out.Close()
}
