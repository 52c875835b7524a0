package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// ErrNoProgram is in the error for a payload that is neither in the image nor
// on the host.
var ErrNoProgram = errors.New("no such program")

// payloadDir is where a payload goes that cannot keep its path.
const payloadDir = "/usr/local/bin"

func hasSlash(name string) bool { return strings.Contains(filepath.ToSlash(name), "/") }

// addPayload makes sure that the image has the payload called name and returns
// its path there.
//
// A name without a slash is looked up in the image, where busybox may have it,
// then in the host's PATH. An absolute path is looked up in the image, then on
// the host, and keeps its place there. A relative path is one of the host; the
// program goes to /usr/local/bin, and so does one whose directory will be
// hidden by a mount, such as /tmp.
func (t *Tree) addPayload(name string) (string, error) {
	host := name
	if !hasSlash(name) {
		for _, dir := range pathDirs {
			if at := path.Join(dir, name); t.isProgram(at) {
				return at, nil
			}
		}
		found, err := exec.LookPath(name)
		if err != nil {
			return "", fmt.Errorf("payload %s: %w in the image or in PATH", name, ErrNoProgram)
		}
		host = found
	} else if path.IsAbs(name) {
		if e, ok := t.Lookup(name); ok && !e.Mode.IsDir() {
			return name, nil
		}
	}
	info, err := os.Stat(host)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("payload %s: %w", name, ErrNoProgram)
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return "", fmt.Errorf("payload %s: %w", name, err)
	}
	at := filepath.ToSlash(filepath.Clean(host))
	if !path.IsAbs(at) || hiddenByMount(at) {
		at = path.Join(payloadDir, path.Base(at))
	}
	add := Add{Host: host, Entry: Entry{Path: clean(at)}}
	if err := t.addFile(add, info); err != nil {
		return "", fmt.Errorf("payload %s: %w", name, err)
	}
	return at, nil
}

// hiddenByMount tells whether init mounts something over a directory above
// name (pkg/boot, mount.go).
func hiddenByMount(name string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	switch first {
	case "dev", "proc", "sys", "run", "tmp":
		return true
	}
	return strings.HasPrefix(name, "/var/run/")
}

// mountedPayload is the payload when it is below a directory that will be the host's own in the guest.
func (s *Spec) mountedPayload() (e Entry, ok bool, err error) {
	name := s.Payload[0]
	if !path.IsAbs(name) || !s.isMounted(name) {
		return Entry{}, false, nil
	}
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNoProgram
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return Entry{}, false, fmt.Errorf("payload %s: %w", name, err)
	}
	e, err = hostEntry(name, info, false)
	e.Path, e.Source, e.origin = clean(name), "payload", named
	return e, true, err
}
