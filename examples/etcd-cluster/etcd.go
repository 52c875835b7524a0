//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// foundLimit is how long founders may take to be a cluster. One that has lost
	// a machine too early may wait in vain, and begins again from nothing.
	foundLimit = 2 * time.Minute
	// stopLimit is how long etcd may take to end in order.
	stopLimit = 4 * time.Second
	// An etcd that ends is started again with its data, as it would be anywhere;
	// one that does so too often and too soon is not.
	maxStarts = 5
	soon      = time.Minute
)

// start is how etcd is started for the first time.
type start struct {
	machine
	state   string // "new", "existing"
	token   string
	initial []string // NAME=URL of each member
	id      string   // of the member, which has no vote yet; "" is a founder
	cluster []string // addresses of others that give it one
}

// foundStart is the same cluster on all founders.
func foundStart(self machine, founders []machine) *start {
	s := &start{machine: self, state: "new"}
	var boots []string
	for _, f := range founders {
		boots = append(boots, f.Boot)
		s.initial = append(s.initial, f.Name+"="+peerURL(f.Address))
	}
	s.token = strings.Join(boots, "-")
	return s
}

// joinStart is for a member that has been added. Etcd compares the addresses of
// the others, not their names, and those that it has yet to start have none.
func joinStart(self machine, cluster []string, all []member) (*start, error) {
	s := &start{machine: self, state: "existing", cluster: cluster}
	for _, m := range all {
		name := "id" + m.ID
		if slices.Contains(m.PeerURLs, peerURL(self.Address)) {
			name, s.id = self.Name, m.ID
		}
		for _, u := range m.PeerURLs {
			s.initial = append(s.initial, name+"="+u)
		}
	}
	if s.id == "" {
		return nil, fmt.Errorf("member/add: the answer lacks %s: %+v", peerURL(self.Address), all)
	}
	return s, nil
}

// args are those of etcd. Once it has data it goes by these.
func (s *start) args() []string {
	args := []string{
		"--name=" + s.Name, "--data-dir=" + filepath.Join(dataDir, "data"),
		"--listen-client-urls=" + clientURL(s.Address), "--advertise-client-urls=" + clientURL(s.Address),
		"--listen-peer-urls=" + peerURL(s.Address), "--initial-advertise-peer-urls=" + peerURL(s.Address),
		"--initial-cluster=" + strings.Join(s.initial, ","), "--initial-cluster-state=" + s.state,
	}
	if s.token != "" {
		args = append(args, "--initial-cluster-token="+s.token)
	}
	return args
}

// keep runs etcd until ctx ends. An error means that this machine has to begin
// again, from nothing.
func (s *start) keep(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		if err := s.settle(ctx); err != nil {
			cancel(err)
		}
	}()
	for starts := 0; ; {
		began := time.Now()
		err := s.run(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if time.Since(began) >= soon {
			starts = 0
		}
		if starts++; starts == maxStarts {
			return fmt.Errorf("etcd ended %d times in a row, at last with %v", starts, err)
		}
		fmt.Printf("etcd-cluster: etcd ended (%v): starting it again\n", err)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(askAgain):
		}
	}
}

// run runs etcd to its end. What etcd itself reads from the environment, such as
// ETCD_ELECTION_TIMEOUT, reaches it from the kernel's command line.
func (s *start) run(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "etcd", s.args()...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopLimit
	return cmd.Run()
}

// settle waits until etcd has its place: a founder when the cluster answers, a
// member that was added when it has its vote.
func (s *start) settle(ctx context.Context) error {
	wait := s.healthy
	if s.id != "" {
		wait = s.promote
	}
	err := wait(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err == nil {
		fmt.Printf("etcd-cluster: %s is a member\n", s.Name)
	}
	return err
}

// healthy waits until etcd says so of itself.
func (s *start) healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, foundLimit)
	defer cancel()
	for {
		var health struct{ Health string }
		err := exchange(ctx, http.MethodGet, clientURL(s.Address)+"/health", nil, &health)
		if err == nil && health.Health == "true" {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("no cluster within %v", foundLimit), err)
		case <-time.After(askAgain):
		}
	}
}

// promote gives a learner its vote. Etcd refuses as long as it lags behind.
func (s *start) promote(ctx context.Context) error {
	for {
		for _, address := range s.cluster {
			if call(ctx, address, "member/promote", map[string]string{"ID": s.id}, nil) == nil {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(askAgain):
		}
	}
}
