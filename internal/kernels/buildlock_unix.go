//go:build unix

package kernels

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// lockDir makes a directory and takes it for this process. Another process that
// has it is waited for, and progress told so: its build may be the one wanted.
func lockDir(ctx context.Context, dir string, progress io.Writer) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err = flock(f, syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		if progress != nil {
			fmt.Fprintf(progress, "waiting for another build in %s\n", dir)
		}
		locked := make(chan error, 1)
		go func() { locked <- flock(f, 0) }()
		select {
		case err = <-locked:
		case <-ctx.Done():
			// The goroutine holds the file until it gets the lock, and gives
			// that back at once.
			go func() { <-locked; f.Close() }()
			return nil, fmt.Errorf("wait for another build in %s: %w", dir, ctx.Err())
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f.Close, nil
}

func flock(f *os.File, how int) error {
	for {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|how); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
