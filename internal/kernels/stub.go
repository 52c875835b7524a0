package kernels

import (
	"os"
	"path/filepath"
)

const (
	stubPackage = "systemd-boot-efi"
	stubPath    = "usr/lib/systemd/boot/efi" // in the package
)

// stubs are the files of that package by architecture. The host's own is not the cache's matter.
var stubs = map[string][]string{
	"amd64": {"linuxx64.efi.stub", "systemd-bootx64.efi"},
	"arm64": {"linuxaa64.efi.stub", "systemd-bootaa64.efi"},
}

// StubDir is where Fetch puts systemd's programs for UEFI of an architecture other than the host's; there may be none.
func StubDir(arch string) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "efi", arch), nil
}

// HasStub reports whether Fetch has put the stub of an architecture into the cache, or never would.
func HasStub(arch string) bool {
	dir, err := StubDir(arch)
	if err != nil {
		return false
	}
	for _, name := range stubs[arch] {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// FetchesStub reports whether Fetch knows where an architecture's stub is.
func FetchesStub(arch string) bool { return stubs[arch] != nil }

// stub puts the newest stub of f.arch into the cache, unless it is there.
func (f fetch) stub() error {
	if stubs[f.arch] == nil {
		return nil
	}
	files := map[string]string{}
	for _, name := range stubs[f.arch] {
		files[filepath.Join(stubPath, name)] = name
	}
	return f.extra(stubPackage, files, filepath.Join(filepath.Dir(f.kernels), "efi", f.arch))
}
