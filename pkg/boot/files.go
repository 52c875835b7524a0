//go:build linux

package boot

import "rambox/pkg/kmod"

// readFile reads a file, given by its absolute path, without the poller: see
// kmod.DirFS.
func readFile(name string) ([]byte, error) { return kmod.DirFS("").ReadFile(name[1:]) }
