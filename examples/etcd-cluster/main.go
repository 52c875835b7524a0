//go:build linux

// Command etcd-cluster is the payload of machines without disks that are one
// etcd cluster: it finds out whether there is a cluster to join or one to found,
// and then keeps etcd running. README.md says how to use it, and why a machine
// that boots again from nothing is a new member.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// dataDir is where etcd keeps its data: in memory.
const dataDir = "/var/lib/etcd"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := serve(ctx); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "etcd-cluster:", err)
		os.Exit(1)
	}
}

// serve makes this machine a member of the cluster, and is one until ctx ends.
func serve(ctx context.Context) error {
	s, err := readSettings(os.Getenv, "/run")
	if err != nil {
		return err
	}
	m, err := newMeeting(s)
	if err != nil {
		return err
	}
	defer m.close()
	// A tmpfs would at once set 128 MB aside for the files that etcd reserves
	// for its log; on a ramfs they are as large as what is in them.
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("etcd", dataDir, "ramfs", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, "mode=0700"); err != nil {
		return fmt.Errorf("mount a ramfs on %s: %w", dataDir, err)
	}
	start, err := m.enter(ctx)
	if err != nil {
		return err
	}
	return start.keep(ctx)
}

// settings are what this machine is told.
type settings struct {
	machine
	cluster []string // addresses that are asked for the cluster
	found   bool     // these may found one
}

// readSettings takes the machine's name and address from its lease, and the rest
// from the environment, where words of the kernel's command line arrive:
//
//	CLUSTER=10.0.0.11,10.0.0.12,10.0.0.13 BOOTSTRAP=yes
func readSettings(env func(string) string, run string) (settings, error) {
	var s settings
	for address := range strings.SplitSeq(env("CLUSTER"), ",") {
		if address != "" {
			s.cluster = append(s.cluster, address)
		}
	}
	if len(s.cluster) == 0 {
		return s, errors.New("no CLUSTER=ADDRESS,… on the kernel's command line: say which machines to ask for the cluster")
	}
	switch word := env("BOOTSTRAP"); word {
	case "", "yes":
		s.found = word != ""
	default:
		return s, fmt.Errorf("BOOTSTRAP=%s: want yes, or nothing", word)
	}
	leases, err := filepath.Glob(filepath.Join(run, "net-*.conf"))
	if err != nil {
		return s, err
	}
	for _, file := range leases {
		text, err := os.ReadFile(file)
		if err != nil {
			return s, err
		}
		if s.Address = leaseValue(string(text), "IPV4ADDR"); s.Address != "" {
			if s.Name = leaseValue(string(text), "HOSTNAME"); s.Name == "" {
				s.Name = s.Address
			}
			return s, nil
		}
	}
	return s, fmt.Errorf("no address: no lease in %s/net-*.conf", run)
}

// leaseValue reads NAME='value' of a lease as klibc's ipconfig writes it.
func leaseValue(lease, name string) string {
	for line := range strings.Lines(lease) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+"="); ok {
			return strings.Trim(value, `'"`)
		}
	}
	return ""
}
