package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const busyboxPath = "bin/busybox"

// addBusybox puts the busybox of the host at /bin/busybox and links for its
// applets around it. It never gives /init, and with an init of ours none of
// that one's names either.
func (t *Tree) addBusybox(host string, ourInit bool) error {
	applets, err := busyboxApplets(host)
	if err != nil {
		return err
	}
	if err := t.putHost(busyboxPath, host, "busybox"); err != nil {
		return err
	}
	at, err := t.resolve(busyboxPath, true)
	if err != nil {
		return err
	}
	for _, applet := range applets {
		name := clean(applet)
		if base := path.Base(name); base == "init" || base == "linuxrc" || base == "busybox" ||
			ourInit && slices.Contains(initNames[:], "sbin/"+base) {
			continue
		}
		if err := t.linkTo(name, at); err != nil {
			return err
		}
	}
	return nil
}

// linkTo makes a relative link at name to the entry at target, unless there is
// something at name.
func (t *Tree) linkTo(name, target string) error {
	real, err := t.resolve(name, false)
	if err != nil {
		return err
	}
	up, err := filepath.Rel(path.Dir(real), target)
	if err != nil {
		return err
	}
	return t.put(Entry{
		Path: real, Mode: fs.ModeSymlink | 0o777, Target: filepath.ToSlash(up),
		Source: "busybox", origin: ours,
	}, false)
}

// putHost adds a host file as an executable of ours.
func (t *Tree) putHost(name, host, source string) error {
	info, err := os.Stat(host)
	if err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %s is not a regular file", source, host)
	}
	return t.put(Entry{
		Path: name, Mode: 0o755, Size: info.Size(), Source: source, origin: ours, content: hostFile(host),
	}, false)
}

// busyboxApplets returns where the applets go: "bin/sh", "usr/bin/env". It
// asks the program itself. One that this machine cannot run is searched for
// its table of names; then all of them go to /bin, and env to /usr/bin too.
func busyboxApplets(host string) ([]string, error) {
	const limit = 10 * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	path, err := filepath.Abs(host)
	if err != nil {
		return nil, err
	}
	list, err := exec.CommandContext(ctx, path, "--list-full").Output()
	applets := strings.Fields(string(list))
	if err == nil && slices.Contains(applets, "bin/sh") {
		return applets, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("busybox: %w", err)
	}
	data, readErr := os.ReadFile(host)
	if readErr != nil {
		return nil, fmt.Errorf("busybox: %w", readErr)
	}
	names := appletNames(data)
	if names == nil {
		return nil, fmt.Errorf("busybox %s: it does not list its applets, and no table of them is in it (--list-full: %w)", host, err)
	}
	applets = []string{"usr/bin/env"}
	for _, name := range names {
		applets = append(applets, "bin/"+name)
	}
	return applets, nil
}

// appletNames finds the table of applet names in a busybox: sorted names, each
// ended by a NUL byte, "[" and "[[" first (applet_names, applets/applets.c).
func appletNames(data []byte) []string {
	const first = "[\x00[[\x00"
	for {
		i := bytes.Index(data, []byte(first))
		if i < 0 {
			return nil
		}
		data = data[i:]
		var names []string
		for rest := data; ; {
			name, after, ok := bytes.Cut(rest, []byte{0})
			if !ok || !isAppletName(name) || len(names) > 0 && string(name) <= names[len(names)-1] {
				break
			}
			names = append(names, string(name))
			rest = after
		}
		if slices.Contains(names, "sh") {
			return names
		}
		data = data[len(first):]
	}
}

func isAppletName(name []byte) bool {
	const longest = 32
	if len(name) == 0 || len(name) > longest {
		return false
	}
	for _, c := range name {
		if c <= ' ' || c > '~' || c == '/' {
			return false
		}
	}
	return true
}
