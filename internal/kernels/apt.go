package kernels

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// runner executes the host's tools.
type runner struct {
	ctx    context.Context
	report func(percent int) // how far apt-get is with a download; may be nil
}

// findTool looks a program up in PATH and where administrators' programs are, which a user's PATH may lack.
func findTool(name string) (string, error) {
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err != nil {
			path, err = exec.LookPath(filepath.Join(dir, name))
		}
	}
	if err != nil {
		return "", fmt.Errorf("%s is not installed", name)
	}
	return path, nil
}

// command runs a tool in dir and returns what it printed. Its error is what the tool said on standard error, on one line.
func (r runner) command(dir, name string, args ...string) (string, error) {
	path, err := findTool(name)
	if err != nil {
		return "", err
	}
	var out, errs strings.Builder
	cmd := exec.CommandContext(r.ctx, path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.WaitDelay = time.Second
	start := cmd.Run
	if name == "apt-get" && r.report != nil {
		start = func() error { return watched(cmd, r.report) }
	}
	if err := start(); err != nil {
		if said := complaint(errs.String()); said != "" {
			return "", fmt.Errorf("%s: %s", name, said)
		}
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return out.String(), nil
}

// complaint condenses standard error to one line: apt's first error ("E: …"), else the last line.
func complaint(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, line := range lines {
		if e, ok := strings.CutPrefix(line, "E: "); ok {
			return strings.TrimSpace(e)
		}
	}
	return lines[len(lines)-1]
}

// apt is the host's package manager with settings of ours on top.
type apt struct {
	run   runner
	conf  string // file with the settings
	tmp   string
	stale error // why the lists could not be brought up to date
}

// hostLists reads the host's package lists and writes nothing of the host's: apt's own cache goes to our directory.
// As root apt would give up its rights before it writes there.
func (f fetch) hostLists() (apt, error) {
	return f.apt("host.conf", "")
}

// ownLists downloads package lists of f.arch by the host's sources. The host's hooks on updates are left out: they tidy up the host.
func (f fetch) ownLists() (apt, error) {
	deb := debianArch(f.arch)
	state := filepath.Join(f.tmp, "state")
	if isDir(state) { // for an earlier package
		return apt{run: f.run, conf: filepath.Join(f.tmp, "own.conf"), tmp: f.tmp}, nil
	}
	if err := os.MkdirAll(filepath.Join(state, "lists/partial"), 0o755); err != nil {
		return apt{}, err
	}
	if err := os.WriteFile(filepath.Join(state, "status"), nil, 0o644); err != nil {
		return apt{}, err
	}
	a, err := f.apt("own.conf", fmt.Sprintf(`Dir::State "%[1]s";
Dir::State::status "%[1]s/status";
#clear APT::Architectures;
APT::Architecture "%[2]s";
APT::Architectures { "%[2]s"; };
APT::Update::Error-Mode "any";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::CNF;
#clear Acquire::IndexTargets::deb-src;
`, state, deb))
	if err != nil {
		return apt{}, err
	}
	f.say("download package lists (%s)", deb)
	f.run.report = func(percent int) { f.say("download package lists (%s): %d %%", deb, percent) }
	_, a.stale = f.run.command(f.tmp, "apt-get", "-c", a.conf, "-q", "update")
	return a, nil
}

func (f fetch) apt(name, settings string) (apt, error) {
	cache := filepath.Join(f.tmp, "cache")
	if err := os.MkdirAll(filepath.Join(cache, "archives/partial"), 0o755); err != nil {
		return apt{}, err
	}
	settings += fmt.Sprintf("Dir::Cache %q;\nAPT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\nAcquire::Retries \"2\";\n", cache) + statusOption()
	a := apt{run: f.run, conf: filepath.Join(f.tmp, name), tmp: f.tmp}
	return a, os.WriteFile(a.conf, []byte(settings), 0o644)
}

// debPackage is what a package list says of a package.
type debPackage struct {
	name, version, size string
	depends             []string // names; of alternatives the first
}

// packageList is a kernel's packages: its image, and what newer Debian releases split off from it.
type packageList []debPackage

// String is the stamp of what was fetched, a line for each package.
func (l packageList) String() string {
	var b strings.Builder
	for _, p := range l {
		fmt.Fprintf(&b, "%s %s\n", p.name, p.version)
	}
	return b.String()
}

// kernelPackage matches the packages that hold files of one kernel, as opposed to those that depend on the newest.
// A version has a dot: linux-image-686 is of the latter.
var kernelPackage = regexp.MustCompile(`^linux-(?:image|base|binary|modules)-([0-9]+\..*)$`)

// release is the kernel's, by the name of its package.
func (l packageList) release() string {
	for _, p := range l {
		if m := kernelPackage.FindStringSubmatch(p.name); m != nil {
			return strings.TrimSuffix(m[1], "-unsigned")
		}
	}
	return ""
}

// resolve follows the dependencies of pkg as far as they are kernel packages.
func (a apt) resolve(pkg string) (packageList, error) {
	var list packageList
	queue, seen := []string{pkg}, map[string]bool{}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		p, err := a.show(name)
		if err != nil {
			return nil, err
		}
		if kernelPackage.MatchString(name) {
			list = append(list, p)
		}
		for _, d := range p.depends {
			if kernelPackage.MatchString(d) {
				queue = append(queue, d)
			}
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("package %s brings no kernel image", pkg)
	}
	return list, nil
}

// show asks for the candidate version of a package.
func (a apt) show(name string) (debPackage, error) {
	out, err := a.run.command(a.tmp, "apt-cache", "-c", a.conf, "show", "--no-all-versions", name)
	if err == nil {
		if p, ok := parseControl(out); ok && p.name == name {
			return p, nil
		}
	}
	switch {
	case a.run.ctx.Err() != nil:
		return debPackage{}, a.run.ctx.Err()
	case a.stale != nil:
		return debPackage{}, fmt.Errorf("package %s is not in the package lists, and these cannot be downloaded: %w; check the network and the host's apt sources", name, a.stale)
	}
	return debPackage{}, fmt.Errorf("no package %s in the host's apt sources: name another kernel", name)
}

// parseControl reads the first stanza of a package list (deb-control(5)); false when it names no package.
func parseControl(text string) (debPackage, bool) {
	var p debPackage
	lines := bufio.NewScanner(strings.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if line == "" && p.name != "" {
			break
		}
		field, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case !ok || strings.HasPrefix(line, " "):
		case field == "Package":
			p.name = value
		case field == "Version":
			p.version = value
		case field == "Size":
			p.size = value
		case field == "Depends", field == "Pre-Depends":
			p.depends = append(p.depends, dependencies(value)...)
		}
	}
	return p, p.name != "" && p.version != ""
}

// dependencies lists the names in "a (>= 1), b:any | c".
func dependencies(value string) []string {
	var names []string
	for _, alternatives := range strings.Split(value, ",") {
		first, _, _ := strings.Cut(strings.TrimSpace(alternatives), "|")
		if words := strings.FieldsFunc(first, func(r rune) bool { return strings.ContainsRune(" (:[", r) }); len(words) > 0 {
			names = append(names, words[0])
		}
	}
	return names
}

// download gets the packages' files, which apt checks against the signed lists.
func (a apt) download(list packageList) ([]string, error) {
	dir, err := os.MkdirTemp(a.tmp, "debs-")
	if err != nil {
		return nil, err
	}
	args := []string{"-c", a.conf, "-q", "download"}
	for _, p := range list {
		args = append(args, p.name+"="+p.version)
	}
	if _, err := a.run.command(dir, "apt-get", args...); err != nil {
		return nil, fmt.Errorf("%w; check the network", err)
	}
	debs, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.deb"))
	if err == nil && len(debs) != len(list) {
		err = errors.New("apt-get download: some packages did not arrive")
	}
	return debs, err
}
