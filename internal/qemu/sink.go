package qemu

import (
	"fmt"
	"io"
	"sync"
)

// Bounds on what is read ahead of a slow writer, in bytes. The guest gives up on output that nobody takes for some seconds after
// the program's end, and what it still holds then is what the two ports' queues have room for, 128 buffers each
// (hw/char/virtio-serial-bus.c) of 32 KiB (drivers/char/virtio_console.c): from then on there is room for that.
const (
	aheadRunning = 16 << 20
	aheadEnded   = 32 << 20
)

// sink carries one stream of the guest to a writer, through a buffer that bounds how far reading runs ahead.
type sink struct {
	to     io.Writer
	failed func(error) // called once, when to refuses

	mu      sync.Mutex
	changed sync.Cond
	pending []byte
	arrived int64 // bytes taken from the guest
	ahead   int   // bound on pending
	ended   bool  // no more will come

	flushed chan struct{} // closed after the end, when everything has been written or refused
}

// newSink starts the writer's side; the other side is put. A nil writer discards.
func newSink(to io.Writer, failed func(error)) *sink {
	if to == nil {
		to = io.Discard
	}
	s := &sink{to: to, failed: failed, ahead: aheadRunning, flushed: make(chan struct{})}
	s.changed.L = &s.mu
	go s.drain()
	return s
}

// put takes p, waiting for room.
func (s *sink) put(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pending) >= s.ahead {
		s.changed.Wait()
	}
	s.pending = append(s.pending, p...)
	s.arrived += int64(len(p))
	s.changed.Broadcast()
}

// copyFrom puts what r has until it ends, and calls progress after every piece.
func (s *sink) copyFrom(r io.Reader, progress func()) {
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			s.put(buf[:n])
			progress()
		}
		if err != nil {
			return
		}
	}
}

// widen changes how far reading may run ahead of the writer.
func (s *sink) widen(ahead int) { s.update(func() { s.ahead = ahead }) }

// end says that nothing more will be put.
func (s *sink) end() { s.update(func() { s.ended = true }) }

func (s *sink) update(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.changed.Broadcast()
}

// count is the number of bytes taken so far.
func (s *sink) count() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.arrived
}

// drain writes what is pending. After an error the rest is discarded: the guest must be able to end.
func (s *sink) drain() {
	defer close(s.flushed)
	var chunk []byte
	for broken := false; ; {
		var ok bool
		if chunk, ok = s.take(chunk); !ok {
			return
		}
		if broken {
			continue
		}
		if _, err := s.to.Write(chunk); err != nil {
			broken = true
			s.failed(fmt.Errorf("write the program's output: %w", err))
		}
	}
}

// take waits for bytes and swaps them for the spare buffer; false means the end.
func (s *sink) take(spare []byte) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pending) == 0 {
		if s.ended {
			return nil, false
		}
		s.changed.Wait()
	}
	chunk := s.pending
	s.pending = spare[:0]
	s.changed.Broadcast()
	return chunk, true
}
