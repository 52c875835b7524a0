package kernels

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// target is how the kernel's own build names an architecture.
type target struct {
	arch    string // GOARCH name: "amd64"
	make    string // ARCH=: "x86_64"
	dir     string // the directory under arch/: "x86"
	image   string // the compressed kernel, both the make target and the file: "bzImage"
	pvh     bool   // vmlinux itself can be started too
	cross   string // CROSS_COMPILE= on a host that needs it
	native  []string
	objtool bool // the build needs objtool, which needs libelf
}

func targets() []target {
	return []target{
		{arch: "amd64", make: "x86_64", dir: "x86", image: "bzImage", pvh: true, objtool: true,
			cross: "x86_64-linux-gnu-", native: []string{"amd64"}},
		{arch: "386", make: "i386", dir: "x86", image: "bzImage", pvh: true,
			cross: "i686-linux-gnu-", native: []string{"386", "amd64"}},
		{arch: "arm64", make: "arm64", dir: "arm64", image: "Image",
			cross: "aarch64-linux-gnu-", native: []string{"arm64"}},
	}
}

// findTarget looks an architecture up by its GOARCH name; "" is the host's.
func findTarget(arch string) (target, error) {
	if arch == "" {
		arch = runtime.GOARCH
	}
	var known []string
	for _, t := range targets() {
		if t.arch == arch {
			return t, nil
		}
		known = append(known, t.arch)
	}
	return target{}, fmt.Errorf("architecture %q: kernels are built for %s", arch, strings.Join(known, ", "))
}

// prefix is CROSS_COMPILE=, empty where the host's own compiler serves.
func (t target) prefix() string {
	if slices.Contains(t.native, runtime.GOARCH) {
		return ""
	}
	return t.cross
}

// tool is a program that a build runs, and the Debian package that has it.
type tool struct{ command, pkg string }

func (t target) tools(settings []Setting) []tool {
	gcc, binutils := "gcc", "binutils"
	if p := t.prefix(); p != "" {
		gcc += "-" + strings.TrimSuffix(p, "-")
		binutils += "-" + strings.TrimSuffix(p, "-")
	}
	need := []tool{
		{"make", "make"}, {"gcc", "gcc"}, {t.prefix() + "gcc", gcc}, {t.prefix() + "ld", binutils},
		{"flex", "flex"}, {"bison", "bison"}, {"bc", "bc"}, {"perl", "perl"}, {"patch", "patch"},
	}
	packers := map[string]tool{
		"KERNEL_LZ4": {"lz4", "lz4"}, "KERNEL_ZSTD": {"zstd", "zstd"}, "KERNEL_XZ": {"xz", "xz-utils"},
	}
	for _, s := range settings {
		if p, ok := packers[s.Symbol]; ok && s.Value == "y" {
			need = append(need, p)
		}
	}
	return need
}

// checkTools names everything that is missing for a build, in one line.
func (t target) checkTools(ctx context.Context, settings []Setting) error {
	var missing, packages []string
	for _, tool := range t.tools(settings) {
		if _, err := exec.LookPath(tool.command); err != nil && !slices.Contains(missing, tool.command) {
			missing = append(missing, tool.command)
			packages = append(packages, tool.pkg)
		}
	}
	if t.objtool && !slices.Contains(missing, "gcc") {
		cpp := exec.CommandContext(ctx, "gcc", "-E", "-")
		cpp.Stdin = strings.NewReader("#include <gelf.h>\n")
		if cpp.Run() != nil {
			missing = append(missing, "the headers of libelf")
			packages = append(packages, "libelf-dev")
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("building a kernel needs %s (Debian: apt-get install %s)",
		strings.Join(missing, ", "), strings.Join(packages, " "))
}

// compiler identifies the compiler and the linker: their versions' first lines.
func (t target) compiler(ctx context.Context) (string, error) {
	var versions []string
	for _, name := range []string{"gcc", "ld"} {
		out, err := exec.CommandContext(ctx, t.prefix()+name, "--version").Output()
		if err != nil {
			return "", fmt.Errorf("ask %s for its version: %w", t.prefix()+name, err)
		}
		first, _, _ := bytes.Cut(out, []byte("\n"))
		versions = append(versions, string(first))
	}
	return strings.Join(versions, "; "), nil
}
