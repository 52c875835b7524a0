package netboot

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Digest is the SHA-256 of a file.
type Digest [sha256.Size]byte

// String is as rambox.digest= has it: "sha256:…".
func (d Digest) String() string { return fmt.Sprintf("sha256:%x", d[:]) }

const (
	// How many files are read at the same time to learn their digests.
	hashers = 2

	// The steps of the clock that files are dated by: a jiffy (of 10 ms at
	// CONFIG_HZ=100). Two writes within one leave the same date.
	fileClock = 20 * time.Millisecond

	// How many digests are kept. Those of files that have gone away are never
	// asked for again, so all are forgotten when there are more.
	maxDigests = 4096
)

// Digests computes the digest of each version of a file once. The zero value is
// ready to be used, and it is safe for concurrent use.
type Digests struct {
	mu     sync.Mutex
	known  map[fileID]*digestJob
	active chan struct{} // has a place for each file that is being read
}

// digestJob is one file's digest, as soon as done is closed.
type digestJob struct {
	done   chan struct{}
	digest Digest
	err    error
}

// Of returns the digest of c. Who asks while a file is being read waits for it,
// at most until ctx ends; the reading goes on. That of a program of parts is one
// of the parts' digests.
func (d *Digests) Of(ctx context.Context, c *Content) (Digest, error) {
	if c.parts != nil {
		return c.parts.digest(ctx, d)
	}
	if c.file == nil {
		h := sha256.New()
		if _, err := io.Copy(h, io.NewSectionReader(c.text, 0, c.Size)); err != nil {
			return Digest{}, err
		}
		return Digest(h.Sum(nil)), nil
	}
	job, err := d.job(c)
	if err != nil {
		return Digest{}, err
	}
	select {
	case <-job.done:
		return job.digest, job.err
	case <-ctx.Done():
		return Digest{}, context.Cause(ctx)
	}
}

// job finds or begins the job of c.
func (d *Digests) job(c *Content) (*digestJob, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if job, ok := d.known[c.id]; ok {
		return job, nil
	}
	// The caller closes c before the job is done if its context ends.
	fd, err := unix.FcntlInt(c.file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", c.Name, err)
	}
	f := os.NewFile(uintptr(fd), c.Name)
	if d.known == nil || len(d.known) >= maxDigests {
		d.known = map[fileID]*digestJob{}
	}
	if d.active == nil {
		d.active = make(chan struct{}, hashers)
	}
	job := &digestJob{done: make(chan struct{})}
	d.known[c.id] = job
	go func() {
		defer f.Close()
		d.active <- struct{}{}
		job.digest, job.err = hashFile(c.Name, f, c.id)
		<-d.active
		if job.err != nil {
			d.mu.Lock()
			delete(d.known, c.id)
			d.mu.Unlock()
		}
		close(job.done)
	}()
	return job, nil
}

var errChanging = errors.New("is being changed")

// hashFile reads all of a file, which has to be the same afterwards.
func hashFile(name string, f *os.File, id fileID) (Digest, error) {
	// What is written later than this has another date.
	if age := time.Since(time.Unix(id.changed.Unix())); age >= 0 && age < fileClock {
		time.Sleep(fileClock - age)
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, id.size)); err != nil {
		return Digest{}, fmt.Errorf("read %s: %w", name, err)
	}
	after, err := statFile(name, f)
	if err == nil && after != id {
		err = fmt.Errorf("%s: %w", name, errChanging)
	}
	if err != nil {
		return Digest{}, err
	}
	return Digest(h.Sum(nil)), nil
}
