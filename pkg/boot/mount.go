package boot

import (
	"errors"
	"fmt"
	"strings"
)

// Mount is one file system to mount, a line of fstab(5).
type Mount struct {
	Source string  // "devtmpfs", "/dev/vda1"
	Target string  // "/dev"
	Type   string  // "devtmpfs", "ext4"
	Flags  uintptr // MS_NOSUID|MS_NODEV: the options that mount(2) has a bit for
	Data   string  // "mode=0755,size=10%": the rest, for the file system itself
	NoFail bool    // nofail: a machine boots without it too
}

// share tells whether m is a directory of the host that runs this machine.
func (m Mount) share() bool { return m.Type == "9p" || m.Type == "virtiofs" }

// splitMounts tells what can be mounted at once from what has to wait for
// modules: shares of the host, and all that follows the first of them, which
// may lie in one.
func splitMounts(all []Mount) (early, late []Mount) {
	for i, m := range all {
		if m.share() {
			return all[:i], all[i:]
		}
	}
	return all, nil
}

// The bits of mount(2) that options stand for, from <linux/mount.h>. They are
// the same on every architecture; naming them here keeps planning free of
// Linux.
const (
	msRdonly      = 1 << 0
	msNosuid      = 1 << 1
	msNodev       = 1 << 2
	msNoexec      = 1 << 3
	msSynchronous = 1 << 4
	msMandlock    = 1 << 6
	msDirsync     = 1 << 7
	msNosymfollow = 1 << 8
	msNoatime     = 1 << 10
	msNodiratime  = 1 << 11
	msBind        = 1 << 12
	msRec         = 1 << 14
	msSilent      = 1 << 15
	msRelatime    = 1 << 21
	msStrictatime = 1 << 24
	msLazytime    = 1 << 25
)

// earlyMounts come first, in this order: later ones lie in earlier ones.
var earlyMounts = [...]Mount{
	{"devtmpfs", "/dev", "devtmpfs", msNosuid, "mode=0755", false},
	{"proc", "/proc", "proc", msNosuid | msNodev | msNoexec, "", false},
	{"sysfs", "/sys", "sysfs", msNosuid | msNodev | msNoexec, "", false},
	{"devpts", "/dev/pts", "devpts", msNosuid | msNoexec, "gid=5,mode=0620,ptmxmode=0666", false},
	{"tmpfs", "/dev/shm", "tmpfs", msNosuid | msNodev, "mode=1777", false},
	{"tmpfs", "/run", "tmpfs", msNosuid | msNodev, "mode=0755", false},
	{"tmpfs", "/tmp", "tmpfs", msNosuid | msNodev, "mode=1777", false},
}

// ParseOptions splits mount options as mount(8) does: the generic ones become
// flags, those that only user space understands are dropped (defaults, nofail,
// noauto, user, x-…, comment=…), and the rest is data for the file system.
// Later words win.
func ParseOptions(options string) (flags uintptr, data string) {
	var rest []string
	for o := range strings.SplitSeq(options, ",") {
		set, clear, ok := optionFlag(o)
		switch {
		case ok:
			flags = flags&^clear | set
		case o == "" || userOption(o):
		default:
			rest = append(rest, o)
		}
	}
	return flags, strings.Join(rest, ",")
}

// optionFlag maps the file-system-independent options of mount(8).
func optionFlag(o string) (set, clear uintptr, ok bool) {
	const atimes = msNoatime | msRelatime | msStrictatime
	switch o {
	case "ro":
		return msRdonly, 0, true
	case "rw":
		return 0, msRdonly, true
	case "nosuid":
		return msNosuid, 0, true
	case "suid":
		return 0, msNosuid, true
	case "nodev":
		return msNodev, 0, true
	case "dev":
		return 0, msNodev, true
	case "noexec":
		return msNoexec, 0, true
	case "exec":
		return 0, msNoexec, true
	case "sync":
		return msSynchronous, 0, true
	case "async":
		return 0, msSynchronous, true
	case "dirsync":
		return msDirsync, 0, true
	case "mand":
		return msMandlock, 0, true
	case "nomand":
		return 0, msMandlock, true
	case "nosymfollow":
		return msNosymfollow, 0, true
	case "noatime":
		return msNoatime, atimes, true
	case "atime":
		return 0, msNoatime, true
	case "nodiratime":
		return msNodiratime, 0, true
	case "diratime":
		return 0, msNodiratime, true
	case "relatime":
		return msRelatime, atimes, true
	case "norelatime":
		return 0, msRelatime, true
	case "strictatime":
		return msStrictatime, atimes, true
	case "nostrictatime":
		return 0, msStrictatime, true
	case "lazytime":
		return msLazytime, 0, true
	case "nolazytime":
		return 0, msLazytime, true
	case "silent":
		return msSilent, 0, true
	case "loud":
		return 0, msSilent, true
	case "bind":
		return msBind, 0, true
	case "rbind":
		return msBind | msRec, 0, true
	}
	return 0, 0, false
}

// userOption tells whether o is for mount(8) or systemd alone, so that a file
// system would refuse it.
func userOption(o string) bool {
	name, _, _ := strings.Cut(o, "=")
	switch name {
	case "defaults", "auto", "noauto", "nofail", "user", "nouser", "users", "owner", "group", "_netdev", "comment":
		return true
	}
	return strings.HasPrefix(name, "x-") || strings.HasPrefix(name, "X-")
}

// ParseFstab reads fstab(5). Swap, noauto and "none" targets are left out,
// and so is the line of the root, which is mounted already. A line that cannot
// be read is left out too, and named in the error: the rest holds.
func ParseFstab(text string) ([]Mount, error) {
	var mounts []Mount
	var errs []error
	n := 0
	for line := range strings.Lines(text) {
		n++
		f := strings.Fields(line)
		if len(f) == 0 || f[0][0] == '#' {
			continue
		}
		if len(f) < 3 {
			errs = append(errs, fmt.Errorf("fstab line %d: %q has %d fields, wants at least 3: source target type", n, strings.TrimSpace(line), len(f)))
			continue
		}
		options := ""
		if len(f) > 3 {
			options = f[3]
		}
		target := unescape(f[1])
		if f[2] == "swap" || target == "none" || target == "/" || hasOption(options, "noauto") {
			continue
		}
		if target[0] != '/' {
			errs = append(errs, fmt.Errorf("fstab line %d: target %q is not an absolute path", n, target))
			continue
		}
		flags, data := ParseOptions(options)
		mounts = append(mounts, Mount{unescape(f[0]), target, f[2], flags, data, hasOption(options, "nofail")})
	}
	return mounts, errors.Join(errs...)
}

func hasOption(options, name string) bool {
	for o := range strings.SplitSeq(options, ",") {
		if o == name {
			return true
		}
	}
	return false
}

// unescape undoes the octal escapes of fstab(5): \040 is a space.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && isOctal(s[i+1]) && s[i+1] < '4' && isOctal(s[i+2]) && isOctal(s[i+3]) {
			b = append(b, (s[i+1]-'0')<<6|(s[i+2]-'0')<<3|(s[i+3]-'0'))
			i += 3
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

func isOctal(c byte) bool { return c >= '0' && c <= '7' }
