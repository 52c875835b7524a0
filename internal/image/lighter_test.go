package image

import (
	"bytes"
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLighter compiles a module's sections for either size of address.
func TestLighter(t *testing.T) {
	const source = `
#define IN(name) __attribute__((section(name), used)) static const int
IN("__mcount_loc") a[10] = {1};
IN(".orc_unwind") b[10] = {1};
IN(".BTF") c[10] = {1};
IN("__param") d[10] = {1};
int e = 1;`
	for _, flag := range []string{"-m64", "-m32"} {
		dir := t.TempDir()
		object := filepath.Join(dir, "a.o")
		if err := os.WriteFile(filepath.Join(dir, "a.c"), []byte(source), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("gcc", flag, "-c", "-o", object, filepath.Join(dir, "a.c")).CombinedOutput(); err != nil {
			t.Fatalf("gcc %s: %v\n%s", flag, err, out)
		}
		data, err := os.ReadFile(object)
		if err != nil {
			t.Fatal(err)
		}
		changes, err := unloaded(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		r, err := lighter{hostFile(object), int64(len(data)), changes}.Open()
		if err != nil {
			t.Fatal(err)
		}
		light, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if len(light) != len(data) {
			t.Errorf("%s: %d bytes, want %d", flag, len(light), len(data))
		}
		type section struct {
			Loaded bool
			Size   uint64
		}
		got := map[string]section{}
		f, err := elf.NewFile(bytes.NewReader(light))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range f.Sections {
			switch s.Name {
			case "__mcount_loc", ".orc_unwind", ".BTF", "__param", ".data":
				got[s.Name] = section{s.Flags&elf.SHF_ALLOC != 0, s.Size}
			}
		}
		want := map[string]section{
			"__mcount_loc": {false, 40}, ".orc_unwind": {false, 40}, ".BTF": {false, 0}, "__param": {true, 40}, ".data": {true, 4},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", flag, diff)
		}
	}
}
