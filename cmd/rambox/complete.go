package main

import (
	"runtime"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rambox/internal/kernels"
)

// flagWords are what a shell completes a flag's value to. A flag that is not
// here is completed to a file's name.
func flagWords(flag string) (words []string, ok bool) {
	words, ok = map[string][]string{
		"accel":    {"auto", "kvm", "tcg"},
		"arch":     {"amd64", "386", "arm", "arm64", "riscv64"},
		"compress": {"zstd", "gzip", "xz", "lz4", "none", "zstd-best", "xz-best"},
		"escape":   {"ctrl-a", "ctrl-]", noEscape},
		"gdb":      {defaultGDB, "0"},
		"machine":  {"q35", "pc", "microvm", "virt"},
		"memory":   {"128M", "256M", "512M", "1G", "2G"},
		"modules":  {"qemu", "host", "all", "none"},
		"profile":  {"run", "micro", "tiny", "node", "iso"},
		"timeout":  {"10s", "1m", "10m"},
		"with":     {"http-root"},
		"append":   {}, "cmdline": {}, "cpu": {}, "forward": {}, "hostname": {}, "mac": {}, "smp": {},
	}[flag]
	return words, ok
}

// addCompletions teaches all commands' flags to complete their values.
func addCompletions(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		}
		if words, ok := flagWords(f.Name); ok {
			complete = cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
		}
		switch f.Name {
		case "kernel":
			complete = completeKernel
		case "net":
			complete = cobra.FixedCompletions([]string{"none", "user", "tap:", "bridge:"}, cobra.ShellCompDirectiveNoSpace|cobra.ShellCompDirectiveNoFileComp)
		}
		_ = cmd.RegisterFlagCompletionFunc(f.Name, complete) // fails for a flag that has one
	})
	for _, sub := range cmd.Commands() {
		addCompletions(sub)
	}
}

// completeKernel offers the kernels that --kernel takes by name, and files.
func completeKernel(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	found, err := kernels.List()
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var words []string
	seen := map[string]bool{}
	for _, k := range found {
		flavour := k.Flavour()
		if k.Arch != runtime.GOARCH {
			flavour += "-" + k.Arch
		}
		for _, name := range []string{flavour, k.Release} {
			if !seen[name] {
				words = append(words, name+"\t"+k.Release+", "+k.Arch)
			}
			seen[name] = true
		}
	}
	return words, cobra.ShellCompDirectiveDefault
}
