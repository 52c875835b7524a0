//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// unpackRoot mounts a tmpfs on the target and unpacks the image into it. After
// an error nothing is mounted.
func (p plan) unpackRoot(ctx context.Context, img *image, kind format, log logger) error {
	if p.types != nil && !slices.Contains(p.types, "tmpfs") {
		log.printf("rootfstype=%s counts for nothing: the image is an archive (%s)", strings.Join(p.types, ","), kind)
	}
	free, err := freeMemory()
	if err != nil {
		return err
	}
	// The archive's own memory becomes free as it is read.
	data := tmpfsData(p.data, free+img.size())
	if err := unix.Mount("tmpfs", p.target, "tmpfs", p.flags, data); err != nil {
		return fmt.Errorf("mount a tmpfs (%s) on %s: %w", data, p.target, err)
	}
	err = unpackImage(ctx, img, kind, p.target, log)
	if errors.Is(err, unix.ENOSPC) {
		err = fmt.Errorf("%w: the root is larger than the memory for it (%s): give the machine more memory, or rootflags=size= if you know better", err, data)
	}
	if err == nil && p.access == readOnly {
		if err = unix.Mount("", p.target, "", p.flags|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			err = fmt.Errorf("make %s read-only: %w", p.target, err)
		}
	}
	if err != nil {
		unix.Unmount(p.target, unix.MNT_DETACH)
		return err
	}
	return nil
}

// tmpfsData returns the mount options of a root in memory: those given, and for
// what they do not say our own. A tmpfs has half of all memory by default, which
// a root that is everything this machine has may well exceed.
func tmpfsData(given string, size int64) string {
	data := "mode=0755"
	for o := range strings.SplitSeq(given, ",") {
		if name, _, _ := strings.Cut(o, "="); name == "size" || name == "nr_blocks" {
			size = 0
		}
	}
	if size > 0 {
		data += ",size=" + strconv.FormatInt(size, 10)
	}
	return strings.TrimSuffix(data+","+given, ",")
}

// unpackImage unpacks an archive into the directory target, and frees the
// archive's memory behind itself.
func unpackImage(ctx context.Context, img *image, kind format, target string, log logger) error {
	u, err := newUnpacker(target)
	if err != nil {
		return err
	}
	defer u.close()
	archive := &eater{img: img}
	told := progress{size: img.size(), at: time.Now()}
	u.alive = func() error {
		if line := told.line(time.Now(), archive.offset.Load()); line != "" {
			log.printf("unpacking: %s", line)
		}
		return ctx.Err()
	}
	plain, inner, free, err := decompress(archive, kind)
	if err != nil {
		return err
	}
	defer free()
	if inner == newc {
		err = eachNewc(plain, u.add)
	} else {
		err = eachTar(plain, u.add)
	}
	if err == nil {
		// What is behind the archive has checksums, if it is compressed.
		err = u.copy(io.Discard, plain)
	}
	if err == nil {
		err = u.finish()
	}
	if err != nil {
		return fmt.Errorf("unpack the root: %w", err)
	}
	if u.lost > 0 {
		log.printf("%d extended attributes are not kept, the first is %s: the kernel's tmpfs has none of this kind", u.lost, u.firstLost)
	}
	if u.renamed > 0 {
		log.printf("%d names had a .. in them, the first is %q; what precedes it is left out", u.renamed, u.firstRenamed)
	}
	log.printf("%d entries of a %s archive unpacked on %s", u.entries, inner, target)
	return nil
}

// eater reads an image once and gives back the memory of what has been read, so
// that the archive and its files are never there twice.
type eater struct {
	img    *image
	offset atomic.Int64 // bytes read; a decompressor may read ahead in a goroutine
	freed  int64        // bytes given back
}

// bite is how many bytes are given back at a time.
const bite = 1 << 20

func (e *eater) Read(p []byte) (int, error) {
	n, err := e.img.file.ReadAt(p, e.offset.Load())
	offset := e.offset.Add(int64(n))
	if whole := offset - offset%bite; whole > e.freed {
		const mode = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
		if err := unix.Fallocate(int(e.img.file.Fd()), mode, e.freed, whole-e.freed); err != nil {
			return n, fmt.Errorf("give back memory: %w", err)
		}
		e.freed = whole
	}
	return n, err
}
