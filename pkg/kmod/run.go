//go:build linux

package kmod

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

func (l *Loader) runInline(ctx context.Context, steps []step) []error {
	errs := make([]error, len(steps))
	for i, s := range steps {
		errs[i] = l.try(ctx, s, firstError(errs, s.needs))
	}
	return errs
}

// runner carries out the steps of a plan, each when those before it have ended.
type runner struct {
	loader     *Loader
	steps      []step
	dependents [][]int // by step: the steps that wait for it
	ready      chan int
	finished   chan struct{}

	mu      sync.Mutex
	waiting []int // by step: how many steps it waits for
	left    int
	errs    []error
	ended   []bool
}

// run loads the modules of steps, as many at a time as there are workers, and returns the error of each. One worker is
// the calling goroutine, which the kernel holds as long as a module's init takes. Several are goroutines, and run does
// not wait for them when ctx is done.
func (l *Loader) run(ctx context.Context, steps []step) []error {
	if l.workers == 1 {
		return l.runInline(ctx, steps)
	}
	if len(steps) == 0 {
		return nil
	}
	r := &runner{
		loader:     l,
		steps:      steps,
		dependents: make([][]int, len(steps)),
		ready:      make(chan int, len(steps)),
		finished:   make(chan struct{}),
		waiting:    make([]int, len(steps)),
		left:       len(steps),
		errs:       make([]error, len(steps)),
		ended:      make([]bool, len(steps)),
	}
	for i, s := range steps {
		for _, before := range [2][]int{s.needs, s.after} {
			for _, b := range before {
				r.dependents[b] = append(r.dependents[b], i)
			}
			r.waiting[i] += len(before)
		}
		if r.waiting[i] == 0 {
			r.ready <- i
		}
	}
	for range min(l.workers, len(steps)) {
		go r.work(ctx)
	}
	select {
	case <-r.finished:
	case <-ctx.Done():
	}
	return r.results(ctx)
}

func (r *runner) work(ctx context.Context) {
	for i := range r.ready {
		r.mu.Lock()
		failed := firstError(r.errs, r.steps[i].needs)
		r.mu.Unlock()
		err := r.loader.try(ctx, r.steps[i], failed)
		r.mu.Lock()
		r.errs[i], r.ended[i] = err, true
		for _, d := range r.dependents[i] {
			if r.waiting[d]--; r.waiting[d] == 0 {
				r.ready <- d
			}
		}
		if r.left--; r.left == 0 {
			close(r.ready)
			close(r.finished)
		}
		r.mu.Unlock()
	}
}

// results returns the errors of the steps; of those that have not ended, that of ctx.
func (r *runner) results(ctx context.Context) []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left == 0 {
		return r.errs
	}
	errs := slices.Clone(r.errs)
	for i := range errs {
		if !r.ended[i] {
			errs[i] = fmt.Errorf("load %s: %w", r.steps[i].name, ctx.Err())
		}
	}
	return errs
}

// firstError returns the first error at these positions, or nil.
func firstError(errs []error, positions []int) error {
	for _, i := range positions {
		if errs[i] != nil {
			return errs[i]
		}
	}
	return nil
}
