package qemu

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// Share is a directory of the host that the guest can mount by its tag.
type Share struct {
	Kind     string // Share9P or ShareVirtiofs
	Dir      string // absolute, without symbolic links
	Tag      string // at most 31 bytes
	ReadOnly bool   // the guest cannot change it, whatever it does
}

// Kinds of shares.
const (
	Share9P       = "9p"       // served by QEMU itself
	ShareVirtiofs = "virtiofs" // served by virtiofsd, a process of its own, from memory that it shares with QEMU
)

// maxTag is what virtio-9p takes (MAX_TAG_LEN, hw/9pfs/9p.h); virtiofs would take 36.
const maxTag = 31

// device is the name of QEMU's device for a kind of share.
func (m Machine) shareDevice(kind string) string {
	if kind == Share9P {
		return m.virtio("9p")
	}
	if m.MMIO() {
		return "vhost-user-fs-device"
	}
	return "vhost-user-fs-pci"
}

// HasShare reports whether the machine has a share of a kind.
func (m Machine) HasShare(kind string) bool {
	return slices.ContainsFunc(m.Shares, func(s Share) bool { return s.Kind == kind })
}

// virtiofs are the shares that virtiofsd serves.
func (m Machine) virtiofs() []Share {
	return slices.DeleteFunc(slices.Clone(m.Shares), func(s Share) bool { return s.Kind != ShareVirtiofs })
}

func (s Share) check() error {
	switch {
	case s.Kind != Share9P && s.Kind != ShareVirtiofs:
		return fmt.Errorf("share of kind %q: want %s or %s", s.Kind, Share9P, ShareVirtiofs)
	case !filepath.IsAbs(s.Dir):
		return fmt.Errorf("share %q: not an absolute path", s.Dir)
	case s.Tag == "" || len(s.Tag) > maxTag:
		return fmt.Errorf("share %s: tag %q: want 1 to %d bytes", s.Dir, s.Tag, maxTag)
	}
	return nil
}

// shareArgs are the devices of the shares. fds are the descriptors of the connections to virtiofsd, one for each virtiofs in their
// order; without them it listens at TAG.sock.
func (m Machine) shareArgs(fds []int) []string {
	var argv []string
	if len(m.virtiofs()) > 0 {
		// -machine names it.
		argv = append(argv, "-object", "memory-backend-memfd,id=ram,share=on,size="+memory(m.Memory))
	}
	for i, s := range m.Shares {
		id, tag := fmt.Sprint("share", i), escape(s.Tag)
		if s.Kind == Share9P {
			// With security_model=none the guest sees the owners and modes that the host has, and as root QEMU keeps them;
			// otherwise all is the user's. multidevs: mounts below the directory would clash by their inode numbers.
			dev := "local,id=" + id + ",path=" + escape(s.Dir) + ",security_model=none,multidevs=remap"
			if s.ReadOnly {
				dev += ",readonly=on"
			}
			argv = append(argv, "-fsdev", dev, "-device", m.shareDevice(s.Kind)+",fsdev="+id+",mount_tag="+tag)
			continue
		}
		socket := "path=" + tag + ".sock"
		if len(fds) > 0 {
			socket, fds = fmt.Sprintf("fd=%d", fds[0]), fds[1:]
		}
		argv = append(argv, "-chardev", "socket,id="+id+","+socket, "-device", m.shareDevice(s.Kind)+",chardev="+id+",tag="+tag)
	}
	return argv
}

// checkShares looks at what the shares are together.
func (m Machine) checkShares() error {
	tags := map[string]bool{}
	for _, s := range m.Shares {
		if err := s.check(); err != nil {
			return err
		}
		if tags[s.Tag] {
			return fmt.Errorf("two shares with the tag %s", s.Tag)
		}
		tags[s.Tag] = true
	}
	if len(m.virtiofs()) > 0 && m.Memory%(1<<12) != 0 {
		return errors.New("virtiofs takes memory in whole pages of 4 KiB")
	}
	return nil
}
