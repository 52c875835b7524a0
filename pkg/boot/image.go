package boot

import (
	"errors"
	"io/fs"
	"os"
	"strings"
)

// Where an image keeps what it has to say to init. All are optional.
const (
	cmdlineFile = "etc/rambox/cmdline" // default parameters, in the kernel's grammar
	payloadFile = "etc/rambox/payload" // argv of the default payload, each word ended by a NUL byte
	environFile = "etc/rambox/environ" // the payload's environment: NAME=VALUE, each ended by a NUL byte
	lockedFile  = "etc/rambox/locked"  // present: no shell, ever
	nonceFile   = "etc/rambox/nonce"   // present: started by rambox run, which reads status lines marked with it
)

// defaultInit is what an image or a root file system runs when the command
// line has no init=.
const defaultInit = "/sbin/init"

// shells in the order in which they are tried.
var shells = [...]string{"/bin/sh", "/bin/busybox", "/bin/bash", "/bin/ash", "/bin/dash", "/usr/bin/sh", "/usr/bin/bash"}

// Image is what a plan needs to know of the initramfs that init runs in.
type Image struct {
	Cmdline  string   // default parameters: "quiet rambox.onexit=reboot"
	Payload  []string // argv of the default payload: ["/app", "-v"]; nil when there is none
	Environ  []string // of the payload: ["GOFLAGS=-v"]
	Locked   bool     // no shell, whatever the command line says
	Hosted   bool     // started by rambox run, which waits for a status
	Shell    string   // "/bin/sh"; "" when the image has none
	Init     bool     // the image has a /sbin/init
	Hostname string   // of /etc/hostname
	Mounts   []Mount  // of /etc/fstab
	Load     []string // modules named in /etc/modules-load.d
}

// ReadImage looks at the root of an initramfs: at "/" when it has been
// unpacked, at an archive on a host tool's side. What is absent is no error; a
// file that is there and cannot be read is.
func ReadImage(fsys fs.FS) (Image, error) {
	var img Image
	var errs []error
	read := func(name string) (string, bool) {
		b, err := fs.ReadFile(fsys, name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		return string(b), err == nil
	}

	if exists(fsys, "etc/rambox") {
		img.Cmdline, _ = read(cmdlineFile)
		if s, ok := read(payloadFile); ok {
			img.Payload = words(s)
		}
		if s, ok := read(environFile); ok {
			img.Environ = words(s)
		}
		img.Locked = exists(fsys, lockedFile)
		img.Hosted = exists(fsys, nonceFile)
	}
	img.Init = hasInit(fsys)
	for _, sh := range shells {
		if exists(fsys, sh[1:]) {
			img.Shell = sh
			break
		}
	}
	s, _ := read("etc/hostname")
	img.Hostname, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	if s, ok := read("etc/fstab"); ok {
		mounts, err := ParseFstab(s)
		img.Mounts = mounts
		errs = append(errs, err)
	}
	load, err := readModulesLoad(fsys)
	img.Load = load
	errs = append(errs, err)
	return img, errors.Join(errs...)
}

// words splits a list of which each word is ended by a NUL byte.
func words(s string) []string { return strings.Split(strings.TrimSuffix(s, "\x00"), "\x00") }

// readModulesLoad reads modules-load.d(5): one module name a line, comments
// begin with # or ;. A file in /etc hides one of the same name in the other
// folders. /run is left out: what an image has there, the file system that is
// mounted on it hides.
func readModulesLoad(fsys fs.FS) ([]string, error) {
	var names []string
	var errs []error
	seen := map[string]bool{}
	for _, dir := range [...]string{"etc/modules-load.d", "usr/lib/modules-load.d", "lib/modules-load.d"} {
		entries, err := fs.ReadDir(fsys, dir)
		if err != nil {
			continue // most images have none of these folders
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".conf") || seen[e.Name()] {
				continue
			}
			seen[e.Name()] = true
			b, err := fs.ReadFile(fsys, dir+"/"+e.Name())
			errs = append(errs, err)
			for line := range strings.Lines(string(b)) {
				line = strings.TrimSpace(line)
				if line != "" && line[0] != '#' && line[0] != ';' {
					names = append(names, line)
				}
			}
		}
	}
	return names, errors.Join(errs...)
}

// hasInit tells whether /sbin/init is there and is another program than /init:
// staying in RAM with ourselves as the next init would never end.
func hasInit(fsys fs.FS) bool {
	next, err := fs.Stat(fsys, defaultInit[1:])
	if err != nil {
		return false
	}
	self, err := fs.Stat(fsys, "init")
	return err != nil || !os.SameFile(next, self)
}

func exists(fsys fs.FS, name string) bool {
	_, err := fs.Stat(fsys, name)
	return err == nil
}
