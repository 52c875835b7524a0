package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// printed is what go test -bench prints: shortened, with two packages.
const printed = `date: 2026-11-21
kernel-cloud: 6.1.0-48-cloud-amd64
goos: linux
pkg: rambox/integration/bench
BenchmarkJob1/rambox-2         	       1	         4.111 ms-of-instructions
BenchmarkJob1/C-2              	       1	         1.042 ms-of-instructions
BenchmarkJob2/rambox           	       1	        65.94 ms-of-instructions
BenchmarkJob2/rambox-unsigned-2	       1	        17.3 ms-of-instructions
BenchmarkBuild/zstd-best-2     	       1	         2.342 MiB	         0.1300 s-wall-median
BenchmarkPowerOn/pc-2         	       1	         1.000 not-built
initramfs-tools: 0.142+deb12u3
BenchmarkPeers/job1/initramfs-tools-16	       1	        43.47 ms-of-instructions
--- BENCH: BenchmarkPeers/job1/dracut-2
    peers_test.go:120: dracut: some word
BenchmarkDebian/rambox-2       	       1	         9.1 MiB	       191.2 ms-of-instructions	      1720 ms-from-power-on	         0.5 s-build-median
PASS
ok  	rambox/integration/bench	12.3s
BenchmarkExchanges/Kea_without_lease_file-2	       1	      1625 exchanges/s
ok  	rambox/integration/netboot	1.0s
`

func TestParse(t *testing.T) {
	r := parse(printed)
	for _, tc := range []struct {
		name, unit string
		want       float64
	}{
		{"Job1/rambox", instructions, 4.111},
		{"Job2/rambox", instructions, 65.94},
		{"Build/zstd-best", "MiB", 2.342},
		{"Build/zstd-best", "s-wall-median", 0.13},
		{"Peers/job1/initramfs-tools", instructions, 43.47},
		{"Exchanges/Kea_without_lease_file", "exchanges/s", 1625},
	} {
		if got, ok := r.value(tc.name, tc.unit); got != tc.want {
			t.Errorf("%s is %v %s, %v, want %v", tc.name, got, tc.unit, ok, tc.want)
		}
	}
	if v, ok := r.value("Job3/rambox", instructions); ok {
		t.Errorf("job 3 is %v, want nothing", v)
	}
	if r.facts["initramfs-tools"] != "0.142+deb12u3" || !r.passed {
		t.Errorf("facts %q, passed %v", r.facts, r.passed)
	}
	for _, line := range []string{"--- FAIL: BenchmarkJob3/rambox", "FAIL\trambox/integration/bench\t3s", "panic: test timed out after 1h0m0s"} {
		if parse(printed + line + "\n").passed {
			t.Errorf("passed in spite of %q", line)
		}
	}
	if parse("PASS\n").passed {
		t.Error("passed without a line for a package")
	}
}

func TestTables(t *testing.T) {
	var b strings.Builder
	for _, table := range tables(parse(printed)) {
		table.text(&b)
	}
	for _, want := range []string{
		"1: run a static program                             ≤ 3     4.11 missed  1.04 (0.25×)",
		"≤ 66    65.9 met",
		"43.5 (11×)",
		"cannot",
		"not built: make small",
		"≤ 2     2.34 ",
		"Kea, without a file of leases      1625",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
}

// TestFollow keeps the input, and fails after the tables.
func TestFollow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bench.txt")
	text := printed + "--- FAIL: BenchmarkJob3/rambox\n"
	var out strings.Builder
	err := follow(strings.NewReader(text), &out, file)
	if err == nil || !strings.Contains(err.Error(), "failed") {
		t.Errorf("error %v, want one about the failure", err)
	}
	if kept, err := os.ReadFile(file); err != nil || string(kept) != text {
		t.Errorf("kept %q, %v", kept, err)
	}
	if !strings.HasPrefix(out.String(), text) || !strings.Contains(out.String(), "4.11 missed") {
		t.Errorf("printed:\n%s", out.String())
	}
}

// TestDocument writes the page twice, with the same result, and keeps what a
// person has written in it.
func TestDocument(t *testing.T) {
	dir := t.TempDir()
	kept, page := filepath.Join(dir, "bench.txt"), filepath.Join(dir, "benchmarks.md")
	for name, text := range map[string]string{kept: printed, page: "Above.\n" + begin + "old\n" + end + "Below.\n"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var texts [2]string
	for i := range texts {
		if err := document(kept, dir); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(b)
	}
	if texts[0] != texts[1] || !strings.HasPrefix(texts[0], "Above.\n") || !strings.HasSuffix(texts[0], "Below.\n") ||
		!strings.Contains(texts[0], "| Kea, without a file of leases | 1625 | – |") || strings.Contains(texts[0], "old") {
		t.Errorf("the page is:\n%s", texts[1])
	}
	if err := os.WriteFile(page, []byte("no lines"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := document(kept, dir); err == nil || !strings.Contains(err.Error(), "the lines are missing") {
		t.Errorf("error %v for a page without the lines", err)
	}
}

// TestChart is XML, and has a bar for each figure.
func TestChart(t *testing.T) {
	picture := chart(parse(printed))
	d := xml.NewDecoder(strings.NewReader(picture))
	bars := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			bars++
		}
	}
	if want := 1 + 6; bars != want { // with the background
		t.Errorf("%d rectangles, want %d:\n%s", bars, want, picture)
	}
}
