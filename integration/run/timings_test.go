//go:build linux

package run

import (
	"encoding/json"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rambox/internal/vmtest"
)

// boot is what these tests read of a chart as JSON.
type boot struct {
	Release, Accelerator, Failure string
	Total                         float64
	Program                       *float64
	Zero                          float64 `json:"kernel_clock_zero"`
	Kernel                        struct {
		Unpack, Unpacked *float64
		RunInit          *float64 `json:"run_init"`
	}
	Bars []struct {
		Kind, Name, Error string
		Start, End        float64
		Bytes             int64
		Failed            bool
	}
}

func (b boot) names() []string {
	var names []string
	for _, bar := range b.Bars {
		names = append(names, bar.Name)
	}
	return names
}

// bootChart runs rambox with a chart as JSON.
func bootChart(t *testing.T, status int, args ...string) boot {
	t.Helper()
	file := filepath.Join(t.TempDir(), "boot.json")
	got := rambox(t, nil, append([]string{"run", "--timings", file}, args...)...)
	if got.status != status {
		t.Fatalf("rambox run --timings %s %q = %d, want %d\n%s", file, args, got.status, status, got.stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v\n%s", err, got.stderr)
	}
	var b boot
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	for _, bar := range b.Bars {
		if bar.Start < 0 || bar.End < bar.Start || bar.End > b.Total {
			t.Errorf("%s goes from %f to %f, of %f", bar.Name, bar.Start, bar.End, b.Total)
		}
	}
	if t.Failed() {
		t.Logf("%s", text)
	}
	return b
}

// TestTimingsJSON and TestTimingsText have the machine for themselves: on a busy
// one the guest's clock may run so wrong that no time is left for the firmware.
func TestTimingsJSON(t *testing.T) {
	k := vmtest.CloudKernel(t)
	b := bootChart(t, 3, "--kernel", k.Path, "--net", "user", "--", "sh", "-c", "exit 3")
	if b.Release != k.Release || b.Accelerator != "kvm" && b.Accelerator != "tcg" || b.Failure != "" || b.Zero <= 0 {
		t.Errorf("release %q, accelerator %q, failure %q, clock's zero at %f", b.Release, b.Accelerator, b.Failure, b.Zero)
	}
	if m := b.Kernel; m.Unpack == nil || m.Unpacked == nil || m.RunInit == nil {
		t.Error("marks of the kernel are missing")
	}
	at := -1
	for _, name := range []string{"firmware", "kernel", "early", "modules", "ports", "handoff", "payload", "shutdown"} {
		i := slices.Index(b.names(), name)
		if i <= at {
			t.Errorf("%s is not after what comes before it, in %q", name, b.names())
		}
		at = i
	}
	modules := 0
	for _, bar := range b.Bars {
		if bar.Kind == "module" && bar.Bytes > 0 {
			modules++
		}
		if bar.Failed || bar.Error != "" {
			t.Errorf("%s failed: %s", bar.Name, bar.Error)
		}
	}
	if names := b.names(); modules < 5 || !slices.Contains(names, "virtio_net") || !slices.Contains(names, "network") {
		t.Errorf("%d modules, in %q", modules, names)
	}
	if b.Program == nil || *b.Program <= 0 || *b.Program > b.Total {
		t.Errorf("the program began at %v of %f", b.Program, b.Total)
	}
}

// TestTimingsOfAKernelWithoutModules is the shortest boot there is.
func TestTimingsOfAKernelWithoutModules(t *testing.T) {
	t.Parallel()
	b := bootChart(t, 0, "--kernel", vmtest.RunKernel(t).Path, "--", "true")
	names := b.names()
	if !slices.Contains(names, "payload") || !slices.Contains(names, "unpack image") {
		t.Errorf("bars %q", names)
	}
}

// TestTimingsOfAFailedBoot has a chart as well.
func TestTimingsOfAFailedBoot(t *testing.T) {
	t.Parallel()
	b := bootChart(t, 125, "--kernel", kernel(t), "--append", "rambox init=/absent", "--", "true")
	failed := false
	for _, bar := range b.Bars {
		failed = failed || bar.Failed
	}
	if !failed || !strings.Contains(b.Failure, "absent") || b.Program != nil {
		t.Errorf("failure %q, program %v, bars %+v", b.Failure, b.Program, b.Bars)
	}
}

func TestTimingsSVG(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "boot.svg")
	got := run(t, []byte("in\n"), "--timings", file, "--", "cat")
	if got.status != 0 || got.stdout != "in\n" || got.stderr != "" {
		t.Errorf("status %d, output %q, error %q", got.status, got.stdout, got.stderr)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	texts := 0
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "text" {
			texts++
		}
	}
	if texts < 20 {
		t.Errorf("%d texts in the picture", texts)
	}
}

func TestTimingsText(t *testing.T) {
	got := runCloud(t, nil, "--timings", "-", "--", "echo", "out")
	if got.status != 0 || got.stdout != "out\n" {
		t.Errorf("status %d, output %q", got.status, got.stdout)
	}
	for _, want := range []string{" to the program, ", "firmware", "kernel", "virtio_console", "payload"} {
		if !strings.Contains(got.stderr, want) {
			t.Errorf("%q is not in the chart:\n%s", want, got.stderr)
		}
	}
}

// TestNoTimings says why there is no chart.
func TestNoTimings(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		boot   func(testing.TB, []byte, ...string) result
		args   []string
		status int
		want   string
	}{
		{"no ports", runCloud, []string{"--append", "module_blacklist=virtio_console", "--", "sh", "-c", "exit 5"}, 5, "no virtio-serial ports"},
		{"panic", run, []string{"--", "sh", "-c", "echo c > /proc/sysrq-trigger; sleep 60"}, 123, "the guest ended before"},
		{"no init", run, []string{"--timeout", "3s", "--append", "rdinit=/bin/sleep -- 1000", "--", "true"}, 124, "never came up"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "boot.svg")
			got := tc.boot(t, nil, append([]string{"--timings", file}, tc.args...)...)
			if got.status != tc.status || strings.Count(got.stderr, "no timings came: ") != 1 || !strings.Contains(got.stderr, tc.want) {
				t.Errorf("status %d, want %d; error %q, want %q in it", got.status, tc.status, got.stderr, tc.want)
			}
			if _, err := os.Stat(file); err == nil {
				t.Error("there is a chart")
			}
		})
	}
}
