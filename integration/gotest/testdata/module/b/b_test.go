package b

import (
	"os"
	"testing"
	"time"
)

func TestFails(t *testing.T) { t.Error("as it should") }

func TestPanics(t *testing.T) {
	if os.Getenv("PANIC") != "" {
		var m map[string]int
		m["x"] = 1
	}
}

func TestHangs(t *testing.T) {
	if os.Getenv("HANG") != "" {
		time.Sleep(time.Hour)
	}
}

// FuzzSum has a seed in testdata that fails.
func FuzzSum(f *testing.F) {
	f.Add(1, 2)
	f.Fuzz(func(t *testing.T, a, b int) {
		if a == 7 && b == 8 {
			t.Error("the seed")
		}
	})
}

func BenchmarkSum(b *testing.B) {
	n := 0
	for b.Loop() {
		n++
	}
}
