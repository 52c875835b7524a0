package timings

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// powerOn is when the sample boots begin.
var powerOn = time.Date(2026, 11, 21, 12, 0, 0, 250e6, time.UTC)

// after is a moment of a sample boot.
func after(seconds float64) time.Time {
	return powerOn.Add(time.Duration(seconds * float64(time.Second)))
}

func lines(t testing.TB, name string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

func report(t testing.TB, name string) Guest {
	t.Helper()
	g, err := ParseGuest([]byte(strings.Join(lines(t, name), "")))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// manyModules is the cloud boot with more modules than there are rows.
func manyModules(t testing.TB) Guest {
	g := report(t, "cloud.guest.json")
	g.Modules = nil
	at := 3_180_000
	for i := range 40 {
		took := 200 + 97*(i*i%41)
		m := Module{Name: fmt.Sprintf("module_number_%d", i), Bytes: int64(9000 + 31000*(i%7))}
		m.Start = microseconds(at)
		end := microseconds(at + took)
		m.End = &end
		g.Modules = append(g.Modules, m)
		at += took + 40
	}
	g.Modules[7].Name = "a_module_with_a_name_of_the_greatest_length_the_kernel_takes"
	return g
}

func microseconds(n int) Seconds { return Seconds(time.Duration(n) * time.Microsecond) }

// samples are the boots of the golden files.
func samples(t testing.TB) map[string]Timeline {
	cloud := KernelMarks(lines(t, "cloud.kmsg"))
	return map[string]Timeline{
		"tiny":   Merge(Host{"kvm", powerOn, after(0.1153), after(0.1191), ""}, Marks{}, report(t, "tiny.guest.json")),
		"cloud":  Merge(Host{"tcg", powerOn, after(4.0312), after(4.0479), ""}, cloud, report(t, "cloud.guest.json")),
		"failed": Merge(Host{"tcg", powerOn, after(34.0312), after(34.9779), "root=UUID=0b7c2a3e-8b1f-4d53-9b37-5c2c4f0f9d11: there is no such device"}, cloud, report(t, "failed.guest.json")),
		"many":   Merge(Host{"tcg", powerOn, after(4.0312), after(4.0479), ""}, cloud, manyModules(t)),
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; go test ./internal/timings -update writes it):\n%s", file, diff)
	}
}

func TestGolden(t *testing.T) {
	for name, tl := range samples(t) {
		t.Run(name, func(t *testing.T) {
			var svg, again, text, js bytes.Buffer
			for _, err := range []error{tl.SVG(&svg), tl.SVG(&again), tl.Text(&text), tl.JSON(&js)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			golden(t, name+".svg", svg.Bytes())
			golden(t, name+".txt", text.Bytes())
			if name == "cloud" || name == "failed" {
				golden(t, name+".json", js.Bytes())
			}
			if !bytes.Equal(svg.Bytes(), again.Bytes()) {
				t.Error("the same timeline gives two pictures")
			}
		})
	}
}

// checkPicture reports labels that overlap another or a bar, and what lies outside.
func checkPicture(t *testing.T, p picture) {
	t.Helper()
	inside := func(what string, b box) {
		if b.left < 0 || b.top < 0 || b.right > p.width || b.bottom > p.height || b.left > b.right {
			t.Errorf("%s: %+v is not in a picture of %.0f × %.0f", what, b, p.width, p.height)
		}
	}
	overlap := func(a, b box) bool {
		return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
	}
	for i, l := range p.labels {
		inside(l.text, l.box())
		for _, other := range p.labels[i+1:] {
			if overlap(l.box(), other.box()) {
				t.Errorf("%q %+v overlaps %q %+v", l.text, l.box(), other.text, other.box())
			}
		}
	}
	for _, s := range p.shapes {
		b := box{s.x, s.y, s.x + s.w, s.y + s.h}
		inside("a shape", b)
		if s.fill == paper || s.fill == gridline {
			continue
		}
		if s.w < minBar {
			t.Errorf("a bar of %.2f pixels: %s", s.w, s.tip)
		}
		for _, l := range p.labels {
			if overlap(b, l.box()) {
				t.Errorf("%q %+v overlaps the bar %+v %s", l.text, l.box(), b, s.tip)
			}
		}
	}
}

func TestLabelsDoNotOverlap(t *testing.T) {
	for name, tl := range samples(t) {
		t.Run(name, func(t *testing.T) { checkPicture(t, layout(tl)) })
	}
}

// TestAnyBootHasRoom makes boots of any kind, sensible or not.
func TestAnyBootHasRoom(t *testing.T) {
	words := []string{"", "a", "the network", strings.Repeat("W", 1000), "漢字", strings.Repeat("漢", 200), "<&\">"}
	for seed := range uint64(100) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			scale := []float64{1e-3, 1, 1e3, 1e6}[r.IntN(4)]
			now := scale * r.Float64()
			span := func() Span {
				a, b := now*r.Float64(), now*r.Float64()
				end := microseconds(int(max(a, b) * 1e6))
				s := Span{Start: microseconds(int(min(a, b) * 1e6)), End: &end}
				if r.IntN(8) == 0 {
					s.End = nil
				}
				return s
			}
			word := func() string { return words[r.IntN(len(words))] }
			names := []string{"early", "modules", "network", "root", "handoff", "payload", word()}
			g := Guest{Release: word(), Now: microseconds(int(now * 1e6)), Init: microseconds(int(now * r.Float64() * 1e6))}
			for range r.IntN(40) {
				g.Stages = append(g.Stages, Stage{names[r.IntN(len(names))], []string{"", word()}[r.IntN(2)], span()})
			}
			for range r.IntN(40) {
				g.Waits = append(g.Waits, Wait{word(), word(), span()})
			}
			for range r.IntN(100) {
				g.Modules = append(g.Modules, Module{word(), r.Int64N(1 << 40), span()})
			}
			arrived := now + r.Float64() - 0.2
			tl := Merge(Host{"tcg", powerOn, after(arrived), after(arrived + r.Float64()), word()}, Marks{}, g)
			checkPicture(t, layout(tl))
			if err := tl.Text(&bytes.Buffer{}); err != nil {
				t.Error(err)
			}
		})
	}
}
