package image

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func TestParseCompression(t *testing.T) {
	for _, c := range append(Compressions(), ZstdBest, XZBest) {
		if got, err := ParseCompression(string(c)); got != c || err != nil {
			t.Errorf("ParseCompression(%q) = %q, %v", c, got, err)
		}
	}
	if got, err := ParseCompression(""); got != Zstd || err != nil {
		t.Errorf("default: %q, %v", got, err)
	}
	if _, err := ParseCompression("lzo"); !matches(err, "want one of zstd, gzip, xz, lz4, none") {
		t.Errorf("lzo: %v", err)
	}
	if _, err := NewTree(time.Time{}).Write(io.Discard, "zip"); !matches(err, `compression "zip"`) {
		t.Errorf("zip: %v", err)
	}
}

// largeTree holds more than a block of any compression: text, then noise.
func largeTree(t testing.TB, size int) *Tree {
	t.Helper()
	tree := NewTree(time.Time{})
	data := bytes.Repeat([]byte("All work and no play makes Jack a dull boy.\n"), size/88)
	noise := make([]byte, size/2)
	random := rand.NewChaCha8([32]byte{1})
	random.Read(noise)
	for name, data := range map[string][]byte{"noise": noise, "text": data} {
		if err := tree.Add(AddFile(name, 0o644, data)); err != nil {
			t.Fatal(err)
		}
	}
	return tree
}

// The command-line tools unpack what we pack.
func TestCompressorsAgainstTools(t *testing.T) {
	tools := map[Compression][]string{Zstd: {"zstd", "-dc"}, Gzip: {"gzip", "-dc"}, XZ: {"xz", "-dc"}, LZ4: {"lz4", "-dc"}, ZstdBest: {"zstd", "-dc"}, XZBest: {"xz", "-dc"}}
	for name, tree := range map[string]*Tree{"small": sampleTree(t, hostTree(t)), "large": largeTree(t, 9<<20)} {
		want := write(t, tree, None)
		for c, tool := range tools {
			packed := write(t, tree, c)
			if got := command(t, "", packed, tool[0], tool[1:]...); got != string(want) {
				t.Errorf("%s: %s unpacks %d bytes of %s, want %d", name, tool[0], len(got), c, len(want))
			}
			im, err := Read(bytes.NewReader(packed), int64(len(packed)))
			if err != nil {
				t.Fatalf("%s, %s: %v", name, c, err)
			}
			if a := im.Archives[0]; a.Compression != c.Format() || a.Raw != int64(len(want)) || a.Size != int64(len(packed)) {
				t.Errorf("%s: read back as %s, %d of %d bytes; want %s, %d of %d", name, a.Compression, a.Size, a.Raw, c.Format(), len(packed), len(want))
			}
		}
	}
}

// A program that is not there, or fails, is named.
func TestPackers(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := NewTree(time.Time{}).Write(io.Discard, XZBest); !matches(err, "the xz program's, which is not here: install it, or use -c xz") {
		t.Errorf("no xz: %v", err)
	}
	if err := os.WriteFile(filepath.Join(os.Getenv("PATH"), "zstd"), []byte("#!/bin/sh\necho no memory >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := NewTree(time.Time{}).Write(io.Discard, ZstdBest); !matches(err, "exit status 3 no memory") {
		t.Errorf("a zstd that fails: %v", err)
	}
}

func TestWindow(t *testing.T) {
	for raw, want := range map[int64]int{0: 1 << 20, 4 << 20: 2 << 20, 5 << 20: 2 << 20, 1 << 30: 8 << 20, 4 << 30: 8 << 20} {
		if got := window(raw); got != want {
			t.Errorf("window(%d) = %d, want %d", raw, got, want)
		}
	}
}

// BenchmarkBuild makes an image of a Go init and busybox: the whole of
// Assemble and Write, with each compression. It reports the image's size.
func BenchmarkBuild(b *testing.B) {
	const busybox = "/bin/busybox"
	spec := Spec{Init: goProgram(b), Busybox: busybox}
	for _, c := range Compressions() {
		b.Run(string(c), func(b *testing.B) {
			spec.Compression = c
			file := filepath.Join(b.TempDir(), "image")
			var sizes Sizes
			for b.Loop() {
				tree, _, err := Assemble(spec)
				if err != nil {
					b.Fatal(err)
				}
				out, err := os.Create(file)
				if err != nil {
					b.Fatal(err)
				}
				if sizes, err = tree.Write(out, c); err != nil {
					b.Fatal(err)
				}
				if err := out.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(sizes.Raw)/(1<<20), "MiB-raw")
			b.ReportMetric(float64(sizes.Stored)/(1<<20), "MiB-image")
		})
	}
}

// goProgram compiles a static Go program of about 2.6 MB, the size of an init.
func goProgram(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	const source = `package main

import (
	"encoding/json"
	"net"
	"os"
)

func main() {
	c, err := net.Dial("tcp", "localhost:1")
	fmt.Println(c, err)
	json.NewEncoder(os.Stdout).Encode(err)
}
`
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", "program", "main.go")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GO111MODULE=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	file := filepath.Join(dir, "program")
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("the Go program has %d bytes", info.Size())
	return file
}
