package kernels

import (
	"fmt"
	"slices"
	"strings"
)

// debianArches are the architectures of Debian whose kernels Rambox knows, by their GOARCH names. "arm" is ARMv7.
var debianArches = map[string]string{"amd64": "amd64", "386": "i386", "arm": "armhf", "arm64": "arm64", "riscv64": "riscv64"}

// debianArch is Debian's name of a GOARCH; "" for those that Rambox does not know.
func debianArch(arch string) string { return debianArches[arch] }

// checkArch refuses what is no architecture that Rambox has kernels for; "" is none in particular.
func checkArch(arch string) error {
	if arch == "" || debianArch(arch) != "" {
		return nil
	}
	return fmt.Errorf("architecture %q: want amd64, 386, arm, arm64 or riscv64", arch)
}

// DefaultFlavour is what is fetched and booted when nothing is said: Debian has cloud kernels for two architectures.
func DefaultFlavour(arch string) string {
	if arch == "amd64" || arch == "arm64" {
		return "cloud"
	}
	return "generic"
}

// genericPackages are the kernels for any machine of an architecture where its name is not the architecture's.
var genericPackages = map[string]string{"386": "686", "arm": "armmp"}

// fetchHint is what to do without a kernel of an architecture; "" is the host's.
func fetchHint(arch string) string {
	if arch == "" {
		return "run: rambox kernel fetch"
	}
	return "run: rambox kernel fetch --arch " + arch
}

// FindFor is Find among the kernels of one architecture, a GOARCH name; "" is as Find.
func FindFor(spec, arch string) (Kernel, error) {
	cache, err := CacheDir()
	if err != nil {
		return Kernel{}, err
	}
	return findFor(spec, arch, cache, hostRoot)
}

func findFor(spec, arch, cache, root string) (Kernel, error) {
	if arch == "" {
		return find(spec, cache, root)
	}
	if err := checkArch(arch); err != nil {
		return Kernel{}, err
	}
	if !strings.Contains(spec, "/") {
		all, err := list(cache, root)
		if err != nil {
			return Kernel{}, err
		}
		all = slices.DeleteFunc(all, func(k Kernel) bool { return k.Arch != arch })
		if spec == "" {
			return findDefault(all, arch)
		}
		for _, k := range all {
			if k.is(spec) {
				return k, nil
			}
		}
	}
	k, err := find(spec, cache, root)
	if err == nil && k.Arch != arch {
		err = fmt.Errorf("kernel %s is for %s, not for %s; %s", spec, k.Arch, arch, fetchHint(arch))
	}
	return k, err
}
