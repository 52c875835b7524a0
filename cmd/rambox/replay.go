package main

import (
	"io"
	"sync"
)

// replay reads a stream once, as far as somebody wants it, and gives it to any
// number of readers from its beginning.
type replay struct {
	src  io.Reader
	mu   sync.Mutex
	more sync.Cond // data or err has changed
	data []byte
	err  error // the end of src
	busy bool  // a read of src is under way
}

func newReplay(src io.Reader) *replay {
	r := &replay{src: src}
	r.more.L = &r.mu
	return r
}

// reader starts at the beginning.
func (r *replay) reader() io.Reader { return &replayReader{of: r} }

type replayReader struct {
	of   *replay
	from int
}

// Read is io.Reader's. A read of the stream goes on when its reader is given up:
// what it brings is for the next one.
func (p *replayReader) Read(b []byte) (int, error) {
	r := p.of
	r.mu.Lock()
	defer r.mu.Unlock()
	for p.from == len(r.data) && r.err == nil {
		if !r.busy {
			r.busy = true
			go r.fill()
		}
		r.more.Wait()
	}
	n := copy(b, r.data[p.from:])
	p.from += n
	if n == 0 && len(b) > 0 {
		return 0, r.err
	}
	return n, nil
}

// fill reads the stream once.
func (r *replay) fill() {
	b := make([]byte, 64<<10)
	n, err := r.src.Read(b)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.data, r.err, r.busy = append(r.data, b[:n]...), err, false
	r.more.Broadcast()
}
