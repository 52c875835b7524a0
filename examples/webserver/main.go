//go:build linux

// Command webserver is all the software of a machine: it boots as /init, brings
// up the network and answers HTTP.
//
//	CGO_ENABLED=0 go build -o webserver ./examples/webserver
//	rambox run --init ./webserver --forward 8080:80
//	curl http://127.0.0.1:8080
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"rambox/pkg/boot"
)

func main() { boot.Main(serve) }

// serve answers requests until ctx ends, and then those that have begun.
func serve(ctx context.Context) error {
	http.HandleFunc("GET /{$}", hello)
	server := &http.Server{Addr: ":80", ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	return errors.Join(ctx.Err(), server.Shutdown(limit))
}

func hello(w http.ResponseWriter, r *http.Request) {
	name, _ := os.Hostname()
	uptime, _ := os.ReadFile("/proc/uptime")
	fmt.Fprintf(w, "Hello from %s, process %d, to %s\nuptime %s", name, os.Getpid(), r.RemoteAddr, uptime)
}
