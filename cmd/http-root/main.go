//go:build linux

// Command http-root is the root helper for http:// and https://: it fetches an
// image into memory, checks its digest, and mounts it or unpacks it.
package main

import (
	"context"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	context.AfterFunc(ctx, stop) // a second signal does not wait for the clean-up
	os.Exit(command(ctx, os.Args[1:], os.Getenv("RAMBOX_CMDLINE"), os.Stdout, logger{os.Stderr}))
}
