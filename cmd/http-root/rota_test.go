//go:build linux

package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRota(t *testing.T) {
	type step struct {
		Mirror int
		Wait   time.Duration
	}
	end := step{Mirror: -1}
	const s = time.Second
	for _, tc := range []struct {
		name     string
		mirrors  int
		outcomes []outcome
		want     []step // after each
	}{
		{
			name: "one that fails and fails", mirrors: 1,
			outcomes: []outcome{cut, cut, cut, cut, cut, cut},
			want:     []step{{0, s}, {0, 2 * s}, {0, 4 * s}, {0, 5 * s}, {0, 5 * s}, end},
		},
		{
			name: "the next after three, at once", mirrors: 2,
			outcomes: []outcome{cut, cut, cut, cut, cut, cut, cut},
			want:     []step{{0, s}, {0, 2 * s}, {1, 0}, {1, s}, {1, 2 * s}, {0, 4 * s}, {0, 5 * s}},
		},
		{
			name: "the next after a refusal; the first is asked once more", mirrors: 2,
			outcomes: []outcome{refused, refused, refused, refused},
			want:     []step{{1, 0}, {0, s}, {1, s}, end},
		},
		{
			name: "never again", mirrors: 2,
			outcomes: []outcome{final, cut, cut, refused, final},
			want:     []step{{1, 0}, {1, s}, {1, 2 * s}, {1, 4 * s}, end},
		},
		{
			name: "new ground is free", mirrors: 1,
			outcomes: []outcome{cut, cut, advanced, advanced, cut, cut, cut},
			want:     []step{{0, s}, {0, 2 * s}, {0, s}, {0, s}, {0, 2 * s}, {0, 4 * s}, {0, 5 * s}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := rota{tries: 3, rounds: 2, delay: s, maxDelay: 5 * s, mirrors: make([]turns, tc.mirrors)}
			var got []step
			for _, o := range tc.outcomes {
				wait, ok := r.failed(o)
				if !ok {
					got = append(got, end)
					break
				}
				got = append(got, step{r.current, wait})
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestRotaEnds counts the tries of mirrors that bring nothing.
func TestRotaEnds(t *testing.T) {
	for mirrors := 1; mirrors < 4; mirrors++ {
		r := rota{tries: 3, rounds: 5, mirrors: make([]turns, mirrors)}
		tries := 1
		for ; ; tries++ {
			if _, ok := r.failed(cut); !ok {
				break
			}
		}
		if want := 3 * 5 * mirrors; tries != want {
			t.Errorf("%d mirrors: %d tries, want %d", mirrors, tries, want)
		}
	}
}
