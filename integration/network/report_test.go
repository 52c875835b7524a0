//go:build linux

package network

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rambox/internal/vmtest"
)

// told is what a machine posts to the server of rambox.report=.
type told struct {
	State, Detail, Hostname string
	Boot                    struct {
		Version int
		Stages  []struct{ Name, Error string }
	}
}

// TestReports has machines tell a server on this host how they fare.
func TestReports(t *testing.T) {
	t.Parallel()
	posts := make(chan told, 8)
	refused := 1 // the server is busy at first: a node asks again
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refused > 0 {
			refused--
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var p told
		if err := json.NewDecoder(r.Body).Decode(&p); err != nil || r.Method != http.MethodPost || r.URL.Path != "/nodes" {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		posts <- p
	}))
	defer server.Close()
	k := vmtest.RunKernel(t)
	dir := image(t, k)
	vmtest.WriteFile(t, dir, "short", 0o755, "#!/bin/sh\nsleep 1\nexit 42\n")
	vm := vmtest.VM{
		Kernel: k, Initrd: vmtest.Archive(t, dir),
		Extra: []string{"-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n,romfile="},
	}
	// The guest's 10.0.2.2 is this host's 127.0.0.1.
	line := fmt.Sprintf("ip=dhcp hostname=node7 rambox.rescue=poweroff rambox.report=%s/nodes ", strings.Replace(server.URL, "127.0.0.1", "10.0.2.2", 1))
	for _, tc := range []struct{ name, line, want string }{
		{"a payload", "rambox.payload=/short", "running /short|ended exit 42"},
		{"no such payload", "rambox.payload=/absent", "failed notfound exec /absent: no such file or directory (no such program)"},
		{"a boot that fails", "root=LABEL=absent rootwait=1", "failed root device LABEL=absent did not appear within 1s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vm.Append = line + tc.line
			console := vmtest.Boot(t, vm)
			var states []string
			for range strings.Count(tc.want, "|") + 1 {
				select {
				case p := <-posts:
					states = append(states, p.State+" "+p.Detail)
					if p.Hostname != "node7" || p.Boot.Version != 1 || len(p.Boot.Stages) < 3 {
						t.Errorf("the post is %+v", p)
					}
				case <-time.After(10 * time.Second):
					t.Fatalf("posts %q, want %q\n%s", states, tc.want, console)
				}
			}
			if got := strings.Join(states, "|"); got != tc.want {
				t.Errorf("posts %q, want %q", got, tc.want)
			}
		})
	}
	t.Run("nobody listens", func(t *testing.T) {
		server.Close()
		vm.Append = line + "rambox.payload=/short"
		vmtest.Contains(t, vmtest.Boot(t, vm), "connect: connection refused", "payload /short: exit 42", "Power down")
	})
}
