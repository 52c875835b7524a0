//go:build linux && !nonet

package boot

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDropPrivileges looks at what is left in a process of its own.
func TestDropPrivileges(t *testing.T) {
	if os.Getenv("RAMBOX_TEST_DROP") == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestDropPrivileges$", "-test.v")
		cmd.Env = append(os.Environ(), "RAMBOX_TEST_DROP=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root has privileges to drop")
	}
	switch err := dropPrivileges(); {
	case errors.Is(err, unix.ENOTSUP):
		t.Skip("the runtime does not do this with cgo, with which init is not built: CGO_ENABLED=0, as make does")
	case err != nil:
		t.Fatal(err)
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		status, err := os.ReadFile("/proc/self/task/" + task.Name() + "/status")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"CapPrm:\t0000000000003400\n", "CapEff:\t0000000000003400\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
			if !strings.Contains(string(status), want) {
				t.Errorf("thread %s lacks %q:\n%s", task.Name(), want, status)
			}
		}
	}
	if err := exec.Command("/bin/true").Run(); err == nil {
		t.Error("a program could be run")
	}
	if err := unix.Kill(1, 0); err != unix.EPERM {
		t.Errorf("signal PID 1: %v, want %v", err, unix.EPERM)
	}
	if err := unix.Tgkill(1, 1, 0); err != unix.EPERM {
		t.Errorf("signal a thread of PID 1: %v, want %v", err, unix.EPERM)
	}
	if err := unix.Tgkill(os.Getpid(), unix.Gettid(), 0); err != nil {
		t.Errorf("signal a thread of one's own: %v", err)
	}
	if err := unix.Mount("none", "/nowhere", "tmpfs", 0, ""); err != unix.EPERM && err != unix.ENOENT {
		t.Errorf("mount: %v", err)
	}
}
