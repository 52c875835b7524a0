//go:build linux

package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProgress(t *testing.T) {
	type at struct {
		after time.Duration
		have  int64
	}
	const s = time.Second
	const m = 1 << 20
	for _, tc := range []struct {
		name string
		size int64
		at   []at
		want []string
	}{
		{
			name: "every 5 s", size: 180 * m, at: []at{{4 * s, 17 * m}, {5 * s, 17 * m}, {9 * s, 17 * m}, {10 * s, 17*m + 512}},
			want: []string{"", "17 MiB of 180 MiB (9 %), 3.4 MiB/s", "", "17 MiB of 180 MiB (9 %), 102 bytes/s"},
		},
		{
			name: "every 10 %, but not twice a second", size: 100 * m, at: []at{{s / 2, 20 * m}, {s, 25 * m}, {3 * s / 2, 60 * m}, {2 * s, 61 * m}, {3 * s, 69 * m}},
			want: []string{"", "25 MiB of 100 MiB (25 %), 25 MiB/s", "", "61 MiB of 100 MiB (61 %), 36 MiB/s", ""},
		},
		{
			name: "nobody knows how much", size: -1, at: []at{{2 * s, 50 * m}, {5 * s, 50 * m}},
			want: []string{"", "50 MiB, 10 MiB/s"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			begin := time.Unix(1_000_000, 0)
			p := progress{size: tc.size, at: begin}
			var got []string
			for _, a := range tc.at {
				got = append(got, p.line(begin.Add(a.after), a.have))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestByteText(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 1023: "1023 bytes", 1024: "1.0 KiB", 8493466: "8.1 MiB", 10 << 20: "10 MiB",
		10433332: "10 MiB", 180 << 20: "180 MiB", 1536 << 20: "1.5 GiB", 20 << 40: "20480 GiB",
	} {
		if got := byteText(n); got != want {
			t.Errorf("byteText(%d) = %q, want %q", n, got, want)
		}
	}
}
