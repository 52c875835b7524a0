package a

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestTwice(t *testing.T) {
	if got := Twice(21); got != 42 {
		t.Errorf("Twice(21) = %d", got)
	}
}

// TestSurroundings: root of another machine, in the package's own directory,
// with the environment of the user.
func TestSurroundings(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if name, err := os.Hostname(); name != "rambox" || os.Getuid() != 0 || filepath.Base(dir) != "a" || os.Getenv("PWD") != dir {
		t.Errorf("host name %q, %v; user %d, directory %s, PWD %s", name, err, os.Getuid(), dir, os.Getenv("PWD"))
	}
	if got := os.Getenv("FROM_THE_HOST"); got != "a b\n\"c\"" {
		t.Errorf("FROM_THE_HOST=%q", got)
	}
	self, err := os.Executable()
	if err != nil || self != os.Args[0] {
		t.Errorf("os.Executable() = %q, %v; os.Args[0] is %q", self, err, os.Args[0])
	}
	if out, err := exec.Command(os.Args[0], "-test.run=TestTwice").CombinedOutput(); err != nil || !bytes.Contains(out, []byte("PASS")) {
		t.Errorf("the test itself, again: %v\n%s", err, out)
	}
}

func TestTestdata(t *testing.T) {
	in, err := os.ReadFile("testdata/in")
	if err != nil || string(in) != "in\n" {
		t.Errorf("testdata/in: %q, %v", in, err)
	}
}

// TestWrite leaves files behind.
func TestWrite(t *testing.T) {
	if err := os.WriteFile("testdata/out", bytes.Repeat([]byte("out\n"), 100_000), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("../left/by", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../go.mod", "../left/link"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename("testdata/out", "../left/by/a"); err != nil {
		t.Fatal(err)
	}
}
