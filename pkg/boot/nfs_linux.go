//go:build !nonet

package boot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/u-root/u-root/pkg/mount"
	"golang.org/x/sys/unix"
)

// nfsRetry is the pause between two tries of an NFS server that does not
// answer.
const nfsRetry = time.Second

// mountNFS mounts an NFS root, and tries again while the server does not
// answer.
func (m *pid1) mountNFS(r Root, target string) error {
	m.loadFor("nfs", "nfsv3", "nfsv4")
	source, data, err := r.nfsMount(m.lease())
	if err != nil {
		return err
	}
	limit := time.Now().Add(r.Wait)
	for {
		// The mount itself waits for the server, longer than we would.
		done := make(chan error, 1)
		m.spawn(func() {
			_, err := mount.Mount(source, target, "nfs", data, r.Flags)
			done <- err
		})
		var deadline <-chan time.Time
		if r.Wait != WaitForever {
			deadline = time.After(time.Until(limit))
		}
		select {
		case err = <-done:
		case <-deadline:
			return fmt.Errorf("NFS server of %s did not answer within %v", source, r.Wait)
		case <-m.ctx.Done():
			return context.Cause(m.ctx)
		}
		late := errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ETIMEDOUT) || errors.Is(err, unix.EHOSTUNREACH) ||
			errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EIO) || errors.Is(err, unix.EAGAIN)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.ENODEV):
			return fmt.Errorf("%w (the kernel has no NFS, nor has the image its modules)", err)
		case !late, r.Wait != WaitForever && time.Now().Add(nfsRetry).After(limit):
			return fmt.Errorf("%w (options %s)", err, data)
		}
		m.log.Warnf("%v; trying again", err)
		select {
		case <-time.After(nfsRetry):
		case <-m.ctx.Done():
			return context.Cause(m.ctx)
		}
	}
}

// lease is what the lease files say, of the first link that has one.
func (m *pid1) lease() map[string]string {
	for _, name := range list("/run") {
		if strings.HasPrefix(name, "net-") && strings.HasSuffix(name, ".conf") {
			if text, err := readFile("/run/" + name); err == nil {
				return parseLease(string(text))
			}
		}
	}
	return nil
}
