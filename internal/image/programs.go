package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"rambox/internal/kernels"
)

// pathDirs is the PATH of programs in the guest (pkg/boot, shell.go).
var pathDirs = [...]string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// Path is the PATH of programs in the guest.
func Path() string { return strings.Join(pathDirs[:], ":") }

// meetNeeds adds what the programs and scripts of the tree need: libraries and
// interpreters. For a file that the user named, a need that cannot be met is
// an error. For one below a directory that the user named it is a note: such
// trees hold plug-ins that nobody loads. A directory that brings its own
// loader gets nothing from the host. More are programs outside the tree.
func (t *Tree) meetNeeds(a arch, kernel kernels.Config, more []Entry) (libraries, notes []string, err error) {
	l, err := newLinker(t)
	if err != nil {
		return nil, nil, err
	}
	var problems []error
	seen := map[string]bool{}
	for again := true; again; { // interpreters bring needs of their own
		again = false
		for _, e := range append(t.Entries(), more...) {
			if seen[e.Path] || !mayBeProgram(e) {
				continue
			}
			seen[e.Path], again = true, true
			err := l.needsOf(e, a, kernel)
			switch {
			case err != nil && e.origin == subtree:
				notes = append(notes, err.Error())
			case err != nil:
				problems = append(problems, err)
			}
		}
	}
	return l.placed, notes, errors.Join(problems...)
}

// mayBeProgram tells whether a file is worth opening to see what it is.
func mayBeProgram(e Entry) bool {
	if !e.Mode.IsRegular() || e.Size == 0 {
		return false
	}
	return e.Mode&0o111 != 0 || strings.Contains(path.Base(e.Path), ".so")
}

func (l *linker) needsOf(e Entry, a arch, kernel kernels.Config) error {
	interp, arg, err := readShebang(e)
	if err != nil {
		return err
	}
	if interp != "" {
		return l.interpreter(e, interp, arg, e.origin != subtree || !l.selfContained(a.glibc, a.muslLoader()))
	}
	bin, err := l.readEntry(e)
	if err != nil {
		return fmt.Errorf("/%s: %w", e.Path, err)
	}
	if bin == nil {
		return nil
	}
	if err := a.runs(bin.machine, kernel); err != nil {
		return fmt.Errorf("/%s of %s: %w", e.Path, e.Source, err)
	}
	of, _ := archOf(bin.machine)
	return l.link(e, bin, e.origin != subtree || !l.selfContained(bin.interp, of.glibc, of.muslLoader()))
}

// selfContained tells whether a directory that the user named has one of the
// loaders.
func (l *linker) selfContained(loaders ...string) bool {
	return slices.ContainsFunc(loaders, func(name string) bool {
		e, ok := l.tree.Lookup(name)
		return ok && e.origin == subtree
	})
}

// readShebang returns the interpreter of a script and its argument, or "".
func readShebang(e Entry) (interp, arg string, err error) {
	r, err := e.open()
	if err != nil {
		return "", "", fmt.Errorf("/%s: %w", e.Path, err)
	}
	defer r.Close()
	const bufSize = 256 // BINPRM_BUF_SIZE
	head := make([]byte, bufSize)
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.ErrUnexpectedEOF {
		return "", "", fmt.Errorf("read /%s: %w", e.Path, err)
	}
	interp, arg = parseShebang(head[:n])
	return interp, arg, nil
}

// parseShebang reads "#!INTERPRETER [ARGUMENT]" as load_script does
// (fs/binfmt_script.c, v6.12): the argument is the rest of the line.
func parseShebang(head []byte) (interp, arg string) {
	line, ok := bytes.CutPrefix(head, []byte("#!"))
	if !ok {
		return "", ""
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	words := strings.Trim(string(line), " \t")
	if i := strings.IndexAny(words, " \t\x00"); i >= 0 {
		return words[:i], strings.Trim(words[i:], " \t\x00")
	}
	return words, ""
}

// interpreter puts the interpreter of script e into the tree, and for
// "#!/usr/bin/env X" also X.
func (l *linker) interpreter(e Entry, interp, arg string, fromHost bool) error {
	if err := l.program(interp, e, fromHost); err != nil {
		return err
	}
	if path.Base(interp) != "env" {
		return nil
	}
	for word := range strings.FieldsSeq(arg) {
		if strings.HasPrefix(word, "-") || strings.Contains(word, "=") {
			continue
		}
		if strings.Contains(word, "/") {
			return l.program(word, e, fromHost)
		}
		for _, host := range [...]bool{false, fromHost} {
			for _, dir := range pathDirs {
				if err := l.program(path.Join(dir, word), e, host); err == nil {
					return nil
				}
			}
		}
		return fmt.Errorf("/%s of %s: its interpreter %s is not in %s", e.Path, e.Source, word, strings.Join(pathDirs[:], ":"))
	}
	return nil
}

// program puts the host's program name into the tree unless it is there.
func (l *linker) program(name string, script Entry, fromHost bool) error {
	if e, ok := l.tree.Lookup(name); ok && e.Mode.IsRegular() {
		return nil
	}
	notFound := fmt.Errorf("/%s of %s: its interpreter %s is not there", script.Path, script.Source, name)
	if !fromHost || !path.IsAbs(name) {
		return notFound
	}
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return notFound
	}
	h, err := hostEntry(name, info, false)
	if err != nil {
		return err
	}
	h.Path, h.Source, h.origin = clean(name), "interpreter of /"+script.Path, ours
	if err := l.tree.putAtHostPath(h, false); err != nil {
		return err
	}
	at, err := l.tree.resolve(name, true)
	l.placed = append(l.placed, at)
	return err
}

// isProgram tells whether the tree has an executable file at name.
func (t *Tree) isProgram(name string) bool {
	e, ok := t.Lookup(name)
	return ok && e.Mode.IsRegular() && e.Mode&0o111 != 0
}
