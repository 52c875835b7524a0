//go:build linux

package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"rambox/pkg/cmdline"
	"rambox/pkg/kmod"
)

// modprobe loads modules by name or alias as modprobe(8) does. The kernel calls
// it for what it finds out that it needs, such as an encoding of vfat or a
// cipher: "modprobe -q -- nls_cp437" (call_modprobe, kernel/module/kmod.c,
// v6.12). What is blacklisted is never loaded, not even by its name.
func modprobe(args []string) int {
	quiet, all := false, false
	for ; len(args) > 0 && strings.HasPrefix(args[0], "-"); args = args[1:] {
		switch option := args[0]; option {
		case "-q", "--quiet":
			quiet = true
		case "-a", "--all":
			all = true
		case "--", "-b", "--use-blacklist":
		default:
			fmt.Fprintf(os.Stderr, "modprobe: %s: want no option but -a, -b and -q\n", option)
			return 2
		}
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: modprobe [-q] NAME [PARAMETER=VALUE ...], or modprobe [-q] -a NAME ...")
		return 2
	}
	names, params := args[:1], strings.Join(args[1:], " ")
	if all {
		names, params = args, ""
	}
	if err := loadNamed(names, params); err != nil {
		if !quiet {
			fmt.Fprintf(os.Stderr, "modprobe: %v\n", err)
		}
		return 1
	}
	return 0
}

// loadNamed loads modules with the options of the kernel's command line, and
// params for the one if there is only one.
func loadNamed(names []string, params string) error {
	line, err := readFile("/proc/cmdline")
	if err != nil {
		return err
	}
	// A problem with the image is none of the caller's: PID 1 has told of it.
	img, _ := ReadImage(kmod.DirFS("/"))
	words, _ := img.args(cmdline.Parse(strings.TrimSuffix(string(line), "\n")))
	m := &pid1{log: Log{fd: 2}}
	m.plan.ModuleParam, m.plan.Blacklist = words.ModuleParams(), blacklist(words)
	if params != "" {
		name := strings.ReplaceAll(names[0], "-", "_")
		m.plan.ModuleParam[name] = strings.TrimSpace(m.plan.ModuleParam[name] + " " + params)
	}
	if !m.openModules() {
		return errors.New("the image has no modules for this kernel")
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, m.modules.Load(context.Background(), name))
	}
	return errors.Join(errs...)
}
