//go:build linux

package vmtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rambox/internal/kernels"
)

// Busybox is Debian's static busybox.
const Busybox = "/bin/busybox"

// Init is the path of bin/init, which make has built.
func Init(t testing.TB) string {
	t.Helper()
	return built(t, "init")
}

// Rambox is the path of bin/rambox, which make has built.
func Rambox(t testing.TB) string {
	t.Helper()
	return built(t, "rambox")
}

func built(t testing.TB, name string) string {
	t.Helper()
	p := filepath.Join(Root(t), "bin", name)
	if _, err := os.Stat(p); err != nil {
		t.Fatalf("%v; run: make", err)
	}
	return p
}

// Root is the project's directory.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
}

// kernelLimit is how long fetching or building a kernel may take.
const kernelLimit = 40 * time.Minute

// CloudKernel is Debian's kernel for virtual machines: virtio is modular, ext4
// and the serial console are built in. It is fetched once.
func CloudKernel(t testing.TB) kernels.Kernel {
	t.Helper()
	return debianKernel(t, "cloud")
}

// GenericKernel is Debian's kernel for real machines: ext4 is a module, too. It
// is fetched once.
func GenericKernel(t testing.TB) kernels.Kernel {
	t.Helper()
	return debianKernel(t, "generic")
}

func debianKernel(t testing.TB, flavour string) kernels.Kernel {
	t.Helper()
	if k, err := kernels.Find(flavour); err == nil {
		return k
	}
	ctx, cancel := context.WithTimeout(context.Background(), kernelLimit)
	defer cancel()
	k, err := kernels.Fetch(ctx, flavour, "amd64", testWriter{t})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// RunKernel is our own kernel, which has no modules at all. It is built again
// only when its configuration has changed.
func RunKernel(t testing.TB) kernels.Kernel {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), kernelLimit)
	defer cancel()
	k, err := kernels.Build(ctx, kernels.BuildOptions{Profile: "run", Arch: "amd64", Progress: testWriter{t}})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// testWriter sends progress to the test's log.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

// Tree makes a directory with /init and busybox's shell: the smallest image
// that a person would make by hand.
func Tree(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	copyFile(t, Init(t), filepath.Join(dir, "init"))
	AddBusybox(t, dir)
	return dir
}

// AddBusybox puts busybox and the names under which tests call it into dir.
func AddBusybox(t testing.TB, dir string) {
	t.Helper()
	copyFile(t, Busybox, filepath.Join(dir, "bin", "busybox"))
	for _, name := range [...]string{"sh", "cat", "ls", "mount", "echo", "sleep", "ps", "kill", "id", "stty", "tty", "dmesg", "true", "false", "env"} {
		if err := os.Symlink("busybox", filepath.Join(dir, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
}

// AddModules puts modules of a kernel into an image's tree, with the index
// that depmod makes.
func AddModules(t testing.TB, dir string, k kernels.Kernel, names ...string) {
	t.Helper()
	if k.Modules == "" {
		return
	}
	index := readIndex(t, k.Modules)
	base := filepath.Join(dir, "lib", "modules", k.Release)
	modules, err := index.Closure(names...)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range modules {
		copyFile(t, filepath.Join(k.Modules, m.Path), filepath.Join(base, m.Path))
	}
	for _, f := range [...]string{"modules.builtin", "modules.builtin.modinfo", "modules.order"} {
		copyFile(t, filepath.Join(k.Modules, f), filepath.Join(base, f))
	}
	Command(t, "depmod", "-b", dir, k.Release)
}

// Archive packs dir as anybody would: find | cpio.
func Archive(t testing.TB, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "initramfs.cpio")
	cmd := exec.Command("sh", "-c", `find . | cpio --quiet -o -H newc > "$1"`, "sh", file)
	cmd.Dir = dir
	run(t, cmd)
	return file
}

// Ext4 makes a disk image with the files of dir on an ext4 file system.
func Ext4(t testing.TB, dir string, megabytes string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "disk.img")
	Command(t, "mke2fs", "-q", "-F", "-t", "ext4", "-d", dir, file, megabytes+"M")
	return file
}

// Program compiles a static C program: the smallest payload there is.
func Program(t testing.TB, source string) string {
	t.Helper()
	dir := t.TempDir()
	WriteFile(t, dir, "main.c", 0o644, source)
	out := filepath.Join(dir, "program")
	Command(t, "gcc", "-Os", "-static", "-o", out, filepath.Join(dir, "main.c"))
	return out
}

// AddProgram puts a dynamic program of the host into a tree, with its libraries
// and its interpreter at the paths where it looks for them.
func AddProgram(t testing.TB, dir, program string) {
	t.Helper()
	copyFile(t, program, filepath.Join(dir, program))
	for line := range strings.Lines(Command(t, "ldd", program)) {
		for word := range strings.FieldsSeq(line) {
			if filepath.IsAbs(word) {
				copyFile(t, word, filepath.Join(dir, word))
			}
		}
	}
}

// Copy puts a host file into a tree.
func Copy(t testing.TB, from, dir, name string) {
	t.Helper()
	copyFile(t, from, filepath.Join(dir, name))
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, st.Mode().Perm()); err != nil {
		t.Fatal(err)
	}
}

// TestBinary builds the tests of a package into a static program, which can be
// the init of a machine: arguments after "--" on the kernel's line are its own.
func TestBinary(t testing.TB, pkg string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "tests")
	cmd := exec.Command("go", "test", "-c", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	run(t, cmd)
	return out
}
