package kernels

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// patchesFile, in a tree of the cache, has the patches that were applied to it,
// after a line with the digest of those that were wanted; patchesMark is before each.
const (
	patchesFile = ".rambox.patch"
	patchesMark = "======== rambox ========\n"
)

// patchSource applies patches/*.patch of fsys, which is laid out like kernel.FS,
// to a tree that is the cache's own, once. One that does not fit the tree's
// version is left out, and log told so: each makes a kernel smaller and no other
// one needs it. A change of the patches takes the old ones back first.
func patchSource(ctx context.Context, src kernelSource, fsys fs.FS, log io.Writer) (kernelSource, error) {
	wanted, err := readPatches(fsys)
	if err != nil {
		return src, err
	}
	unlock, err := lockDir(ctx, filepath.Join(filepath.Dir(src.dir), ".lock-"+filepath.Base(src.dir)), log)
	if err != nil {
		return src, err
	}
	defer unlock()
	h := sha256.New()
	for _, p := range wanted {
		h.Write(p.text)
	}
	head := []byte("wanted: " + hex.EncodeToString(h.Sum(nil)) + "\n")
	stamp := filepath.Join(src.dir, patchesFile)
	have, err := os.ReadFile(stamp)
	if err != nil && !os.IsNotExist(err) {
		return src, err
	}
	if !bytes.HasPrefix(have, head) {
		if have, err = src.repatch(ctx, have, head, wanted, log); err != nil {
			return src, err
		}
		if err := os.WriteFile(stamp, have, 0o644); err != nil {
			return src, err
		}
	}
	sum := sha256.Sum256(have)
	src.content += " " + hex.EncodeToString(sum[:])
	return src, nil
}

// kernelPatch is one file of package kernel's patches.
type kernelPatch struct {
	name string
	text []byte
}

func readPatches(fsys fs.FS) ([]kernelPatch, error) {
	names, err := fs.Glob(fsys, "patches/*.patch")
	if err != nil {
		return nil, err
	}
	var patches []kernelPatch
	for _, name := range names {
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, fmt.Errorf("read kernel patch: %w", err)
		}
		patches = append(patches, kernelPatch{name, text})
	}
	return patches, nil
}

// repatch takes back what was applied and applies what is wanted. It returns the
// new contents of patchesFile.
func (s kernelSource) repatch(ctx context.Context, have, head []byte, wanted []kernelPatch, log io.Writer) ([]byte, error) {
	old := bytes.Split(have, []byte(patchesMark))[1:]
	for _, text := range slices.Backward(old) {
		if err := s.patch(ctx, text, "-R"); err != nil {
			return nil, fmt.Errorf("take back the patches of %s: %w; remove the directory to have it unpacked again", s.dir, err)
		}
	}
	applied := head
	for _, p := range wanted {
		if err := s.patch(ctx, p.text, "--dry-run"); err != nil {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			fmt.Fprintf(log, "%s does not fit %s: built without it\n", p.name, s.version)
			continue
		}
		if err := s.patch(ctx, p.text); err != nil {
			return nil, fmt.Errorf("apply %s to %s: %w", p.name, s.dir, err)
		}
		applied = slices.Concat(applied, []byte(patchesMark), p.text)
	}
	return applied, nil
}

// patch runs patch(1) in the tree.
func (s kernelSource) patch(ctx context.Context, text []byte, more ...string) error {
	args := append([]string{"-p1", "--batch", "--forward", "--reject-file=-", "--no-backup-if-mismatch"}, more...)
	cmd := exec.CommandContext(ctx, "patch", args...)
	cmd.Dir, cmd.Stdin = s.dir, bytes.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("patch: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}
