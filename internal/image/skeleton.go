package image

import (
	"fmt"
	"io/fs"
	"strings"
)

// skeleton lists the small tree that programs expect around them. Each entry
// goes in only where the tree has nothing yet.
func skeleton(hostname string) []Entry {
	var list []Entry
	dir := func(perm fs.FileMode, names ...string) {
		for _, name := range names {
			list = append(list, Entry{Path: name, Mode: fs.ModeDir | perm})
		}
	}
	file := func(name, text string) {
		list = append(list, Entry{Path: name, Mode: 0o644, Size: int64(len(text)), content: bytesContent(text)})
	}
	link := func(name, target string) {
		list = append(list, Entry{Path: name, Mode: fs.ModeSymlink | 0o777, Target: target})
	}
	char := func(name string, perm fs.FileMode, major, minor uint32) {
		list = append(list, Entry{Path: name, Mode: fs.ModeDevice | fs.ModeCharDevice | perm, Major: major, Minor: minor})
	}

	dir(0o755, "bin", "dev", "etc", "mnt", "newroot", "run", "sbin", "usr", "usr/bin", "usr/sbin", "var", "var/log")
	dir(0o555, "proc", "sys")
	dir(0o700, "root")
	dir(fs.ModeSticky|0o777, "tmp", "var/tmp")
	link("var/run", "../run")
	link("etc/mtab", "/proc/mounts")
	// The kernel opens /dev/console for init before devtmpfs can be mounted.
	char("dev/console", 0o600, 5, 1)
	char("dev/null", 0o666, 1, 3)

	file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
	file("etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n")
	file("etc/hostname", hostname+"\n")
	// By this file systemd's programs know an initramfs (os-release(5)).
	file("etc/initrd-release", "ID=rambox\nNAME=Rambox\nPRETTY_NAME=\"Rambox initramfs\"\n")
	file("etc/hosts", fmt.Sprintf("127.0.0.1\tlocalhost\n127.0.1.1\t%s\n::1\tlocalhost ip6-localhost ip6-loopback\n", hostname))
	file("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n")
	file("etc/fstab", "devpts /dev/pts devpts nosuid,noexec,gid=5,mode=0620,ptmxmode=0666 0 0\n"+
		"tmpfs /dev/shm tmpfs nosuid,nodev,mode=1777 0 0\n")
	file("etc/profile", "export PATH="+strings.Join(pathDirs[:], ":")+"\nexport PS1='\\u@\\h:\\w\\$ '\numask 022\n")
	return list
}

// addSkeleton adds what of the skeleton the tree lacks.
func (t *Tree) addSkeleton(hostname string) error {
	for _, e := range skeleton(hostname) {
		e.Source, e.origin = "skeleton", ours
		if err := t.put(e, false); err != nil {
			return err
		}
	}
	return nil
}

// initNames are the names by which /init is started for other purposes.
var initNames = [...]string{"sbin/poweroff", "sbin/reboot", "sbin/halt", "sbin/renew_ip"}

// addInit adds the init binary and its other names.
func (t *Tree) addInit(host string) error {
	err := t.putHost("init", host, "init")
	if err != nil {
		return err
	}
	for _, name := range initNames {
		if err := t.addInitName(name); err != nil {
			return err
		}
	}
	return nil
}

// addInitName adds another name of init, unless there is something of that name.
func (t *Tree) addInitName(name string) error {
	return t.put(Entry{Path: name, Mode: fs.ModeSymlink | 0o777, Target: "/init", Source: "init", origin: ours}, false)
}
