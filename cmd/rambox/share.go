package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"rambox/internal/qemu"
	"rambox/pkg/cmdline"
)

// shareOptions are the flags of rambox run that give the program what this
// machine has: directories, environment variables, the place where it stands.
type shareOptions struct {
	shares, env []string
	cwd         string

	memoryGiven bool             // by --memory or rambox.toml
	hostKinds   map[string]error // see qemu.Machine.CanShare
}

func (o *shareOptions) register(f *pflag.FlagSet) {
	f.StringArrayVarP(&o.shares, "share", "s", nil, "HOST[:GUEST][,rw]: share a directory with the guest, read-only unless rw; a comma or colon in a name is written twice")
	f.StringArrayVarP(&o.env, "env", "e", nil, "NAME=VALUE for the program's environment; NAME alone takes this machine's value, if there is one")
	f.StringVarP(&o.cwd, "cwd", "C", "", "directory of the guest in which the program starts (default: /root)")
}

// share is a directory of this machine that the guest will have.
type share struct {
	host, guest string // absolute
	writable    bool
	implied     bool // nobody has asked for it
}

// String is what --share would take.
func (s share) String() string {
	text := doubled(s.host)
	if s.guest != s.host {
		text += ":" + doubled(s.guest)
	}
	if s.writable {
		text += ",rw"
	}
	return text
}

func doubled(name string) string {
	return strings.NewReplacer(",", ",,", ":", "::").Replace(name)
}

var errShare = errors.New("want HOST[:GUEST][,rw]")

// splitShare reads HOST[:GUEST][,rw|,ro]. A comma or colon that is doubled
// is one of the name.
func splitShare(arg string) (host, guest string, writable bool, err error) {
	fields := []string{""}
	separators := ""
	for i := 0; i < len(arg); i++ {
		c := arg[i]
		last := &fields[len(fields)-1]
		switch {
		case c != ':' && c != ',':
			*last += string(c)
		case i+1 < len(arg) && arg[i+1] == c:
			*last += string(c)
			i++
		default:
			fields, separators = append(fields, ""), separators+string(c)
		}
	}
	if strings.HasSuffix(separators, ",") {
		last := len(fields) - 1
		switch fields[last] {
		case "rw":
			writable = true
		case "ro":
		default:
			return "", "", false, fmt.Errorf("%q: want rw or ro", fields[last])
		}
		fields, separators = fields[:last], separators[:last-1]
	}
	switch {
	case fields[0] == "" || strings.Contains(separators, ",") || len(separators) > 1:
		return "", "", false, errShare
	case separators == "":
		return fields[0], "", writable, nil
	case !path.IsAbs(fields[1]):
		return "", "", false, fmt.Errorf("%q: want an absolute path in the guest", fields[1])
	}
	return fields[0], path.Clean(fields[1]), writable, nil
}

// parseShare reads the value of --share. A symbolic link to a directory is
// followed; the guest has the directory where the link is.
func parseShare(arg string) (share, error) {
	host, guest, writable, err := splitShare(arg)
	if err != nil {
		return share{}, err
	}
	if host, err = filepath.Abs(host); err != nil {
		return share{}, err
	}
	guest = cmp.Or(guest, host)
	if err := checkTarget(guest); err != nil {
		return share{}, err
	}
	real, err := filepath.EvalSymlinks(host)
	if errors.Is(err, fs.ErrNotExist) {
		return share{}, fmt.Errorf("there is no %s", host)
	}
	if err != nil {
		return share{}, err
	}
	info, err := os.Stat(real)
	switch {
	case err != nil:
		return share{}, err
	case !info.IsDir():
		return share{}, fmt.Errorf("%s is not a directory; files go into the image by --add", host)
	}
	if _, err := os.ReadDir(real); err != nil {
		return share{}, err
	}
	return share{host: real, guest: guest, writable: writable}, nil
}

// checkTarget refuses what init itself needs.
func checkTarget(guest string) error {
	if guest == "/" {
		return errors.New("it would be the guest's / (name another place: HOST:/GUEST)")
	}
	for _, own := range [...]string{"/dev", "/proc", "/sys", "/run"} {
		if guest == own || own != "/run" && strings.HasPrefix(guest, own+"/") {
			return fmt.Errorf("the guest has a %s of its own (name another place: HOST:/GUEST)", own)
		}
	}
	return nil
}

// mergeShares leaves out what another share has at the same place already, and
// puts those first that others lie in.
func mergeShares(list []share) ([]share, error) {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b share) int {
		return cmp.Or(cmp.Compare(len(a.guest), len(b.guest)), strings.Compare(a.guest, b.guest))
	})
	var kept []share
	for _, s := range list {
		held := false
		for _, k := range kept {
			if k.guest == s.guest && k != s {
				return nil, fmt.Errorf("--share %s and --share %s have the same place in the guest", k, s)
			}
			rest, below := strings.CutPrefix(s.guest, strings.TrimSuffix(k.guest, "/"))
			if below && (rest == "" || rest[0] == '/') && s.host == k.host+rest {
				held = k.writable == s.writable // the nearest one above comes last
			}
		}
		if !held {
			kept = append(kept, s)
		}
	}
	return kept, nil
}

// environment is what --env asks for.
func (o *shareOptions) environment(lookup func(string) (string, bool)) ([]string, error) {
	var list []string
	for _, e := range o.env {
		name, _, ok := strings.Cut(e, "=")
		if name == "" {
			return nil, fmt.Errorf("--env %s: want NAME=VALUE or NAME", e)
		}
		if !ok {
			value, set := lookup(name)
			if !set {
				continue
			}
			e += "=" + value
		}
		list = append(list, e)
	}
	return list, nil
}

// cwdParameter is the word of the image's command line for a working
// directory.
func cwdParameter(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	if !path.IsAbs(dir) {
		return "", fmt.Errorf("--cwd %s: want an absolute path in the guest", dir)
	}
	word, ok := cmdline.Quote("rambox.cwd=" + dir)
	if !ok {
		return "", fmt.Errorf("--cwd %s: a kernel's command line cannot hold this name", dir)
	}
	return word, nil
}

// fstabOptions are for the mount in the guest.
func fstabOptions(kind string, writable bool) string {
	var words []string
	if kind == qemu.Share9P {
		// cache=mmap has what is open in the page cache, and writes it through at close.
		words = []string{"trans=virtio", "version=9p2000.L", "msize=512000", "cache=mmap"}
	}
	if !writable {
		words = append(words, "ro")
	}
	return strings.Join(words, ",")
}
