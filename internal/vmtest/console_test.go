//go:build linux

package vmtest

import (
	"fmt"
	"testing"
)

// TestConsole has a kernel that talks while programs do.
func TestConsole(t *testing.T) {
	const shown = "[    0.000000] Linux\r\none [two[    1.250000] clocksource: tsc\r\n[12345.250001] more\r\n three\r\n[ not a time\r\n[    1.25] neither\r\n# [    2.000000] last"
	const want = "one [two three\r\n[ not a time\r\n[    1.25] neither\r\n# "
	for size := 1; size <= len(shown); size++ {
		t.Run(fmt.Sprintf("%d bytes at a time", size), func(t *testing.T) {
			var c console
			c.cond.L = &c.mu
			for i := 0; i < len(shown); i += size {
				fmt.Fprint(&c, shown[i:min(i+size, len(shown))])
			}
			c.close()
			if got := string(c.programs.text); got != want {
				t.Errorf("programs have written %q, want %q", got, want)
			}
			if got := Programs(shown); got != want {
				t.Errorf("Programs(%q) = %q, want %q", shown, got, want)
			}
			read := 0
			for _, step := range []struct{ text, before string }{
				{"Linux", "[    0.000000] "},
				{"two three", "one ["}, // the rest of the line with Linux is the kernel's
				{"# ", "\r\n[ not a time\r\n[    1.25] neither\r\n"},
				{"last", "[    2.000000] "},
			} {
				before, ok := c.find(&read, step.text)
				if !ok || before != step.before {
					t.Errorf("before %q is %q, %v, want %q", step.text, before, ok, step.before)
				}
			}
			if _, ok := c.find(&read, "two"); ok {
				t.Error("what has been read is found again")
			}
		})
	}
}
