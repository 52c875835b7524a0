//go:build unix

package image

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// TestReproducibleByAnotherUser runs this test's binary again as nobody.
func TestReproducibleByAnotherUser(t *testing.T) {
	const in, out = "RAMBOX_TEST_IN", "RAMBOX_TEST_OUT"
	if dir, ok := os.LookupEnv(in); ok {
		if err := os.WriteFile(os.Getenv(out), write(t, sampleTree(t, dir), Zstd), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	const nobody = 65534
	host := hostTree(t)
	if err := os.Chmod(filepath.Join(host, "etc/secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	want := write(t, sampleTree(t, host), Zstd)

	// Nobody gets places of their own: a test's directories are root's alone.
	base, err := os.MkdirTemp("", "image")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(base)
	binary := filepath.Join(base, "image.test")
	command(t, "", nil, "cp", os.Args[0], binary)
	command(t, "", nil, "cp", "-R", "-P", "--preserve=mode", host, filepath.Join(base, "tree"))
	command(t, "", nil, "chown", "-R", fmt.Sprint(nobody), base)
	command(t, "", nil, "chmod", "u+s", filepath.Join(base, "tree/bin/su")) // chown takes it away
	file := filepath.Join(base, "out")
	cmd := exec.Command(binary, "-test.run=^TestReproducibleByAnotherUser$")
	cmd.Dir = base
	cmd.Env = append(os.Environ(), in+"="+filepath.Join(base, "tree"), out+"="+file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, msg)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("another user makes other bytes")
	}
}
