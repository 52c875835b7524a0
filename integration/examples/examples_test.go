//go:build linux

// Package examples boots the programs of examples/ as a person would.
package examples

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"rambox/internal/kernels"
	"rambox/internal/qemu"
	"rambox/internal/vmtest"
)

// program builds an example.
func program(t *testing.T, name string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), name)
	vmtest.Command(t, "env", "CGO_ENABLED=0", "go", "build", "-C", vmtest.Root(t), "-o", out, "./examples/"+name)
	return out
}

// TestWebserver boots it as the only software of a machine, asks it for a page
// through a forwarded port, and lets it end in order.
func TestWebserver(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, vmtest.Rambox(t), "run", "--kernel", vmtest.CloudKernel(t).Path,
		"--init", program(t, "webserver"), "--forward", "0:80")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(stderr)
	line, _ := said.ReadString('\n')
	address := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(line)
	if address == "" {
		rest, _ := io.ReadAll(said)
		t.Fatalf("rambox run said %q, want the address of the forwarded port\n%s", line, rest)
	}

	body := fetch(t, ctx, "http://"+address+"/")
	if !regexp.MustCompile(`^Hello from rambox, process \d+, to 10\.0\.2\.2:\d+\nuptime \d+`).MatchString(body) {
		t.Errorf("the page is %q", body)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(said)
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v, want status 0, since the server ends as it is told\n%s", err, rest)
	}
}

// fetch asks until the server is there: the forwarding takes a connection and
// drops it as long as the guest has no listener.
func fetch(t *testing.T, ctx context.Context, url string) string {
	t.Helper()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err == nil {
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != http.StatusOK {
				t.Fatalf("GET %s: %s, %v", url, answer.Status, err)
			}
			return string(body)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("GET %s: %v", url, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// TestNaked boots an image of one file on a kernel with all drivers in it, and
// one with modules beside it on Debian's kernel.
func TestNaked(t *testing.T) {
	naked := program(t, "naked")
	disk := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(disk, append([]byte("\xeb\x3c\x90MSDOS5.0 and on"), make([]byte, 1<<20)...), 0o644); err != nil {
		t.Fatal(err)
	}
	const want = "begins with eb 3c 90 4d 53 44 4f 53 35 2e 30 20 61 6e 64 20"

	t.Run("one file", func(t *testing.T) {
		dir := t.TempDir()
		vmtest.Copy(t, naked, dir, "init")
		console := vmtest.Boot(t, vmtest.VM{
			Kernel: vmtest.RunKernel(t), Initrd: vmtest.Archive(t, dir), Append: "-- /dev/vda",
			Disks: []qemu.Disk{{Path: disk, Format: "raw"}},
		})
		vmtest.Contains(t, console, "hello, world", "/dev/vda "+want, "Power down")
	})
	t.Run("no such disk", func(t *testing.T) {
		dir := t.TempDir()
		vmtest.Copy(t, naked, dir, "init")
		console := vmtest.Boot(t, vmtest.VM{Kernel: vmtest.RunKernel(t), Initrd: vmtest.Archive(t, dir)})
		vmtest.Contains(t, console, "hello, world", "init: no /dev/sda within 10s", "Power down")
	})
	t.Run("sda", func(t *testing.T) {
		k := vmtest.CloudKernel(t)
		console := boot(t, k, naked, "-machine", "pc", "-drive", "if=ide,format=raw,file="+disk)
		vmtest.Contains(t, console, "hello, world", "/dev/sda "+want, "Power down")
	})
}

// boot has rambox build the image.
func boot(t *testing.T, k kernels.Kernel, init string, extra ...string) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "naked.img")
	vmtest.Command(t, vmtest.Rambox(t), "build", "--kernel", k.Path, "--init", init, "--modules", "ata_piix,sd_mod", "-o", image)
	return strings.ReplaceAll(vmtest.Boot(t, vmtest.VM{Kernel: k, Initrd: image, Extra: extra}), "\r", "")
}
