package image

import (
	"fmt"
	"slices"
	"strings"

	"rambox/internal/kernels"
	"rambox/pkg/cmdline"
)

// has tells whether an option, such as CONFIG_RD_ZSTD, is y or m. An unknown
// configuration has none.
func has(c kernels.Config, option string) bool {
	on, _ := c.Enabled(strings.TrimPrefix(option, "CONFIG_"))
	return on
}

// unpackOption is the option without which the kernel cannot unpack an image
// with this compression (usr/Kconfig, v6.12); "" for None.
func unpackOption(c Compression) string {
	if c == None {
		return ""
	}
	return "CONFIG_RD_" + strings.ToUpper(string(c.Format()))
}

// CanUnpack returns an error if a kernel with this configuration cannot unpack
// an image with compression comp. It names the missing option and what would work. An
// unknown configuration gives no error.
func CanUnpack(c kernels.Config, comp Compression) error {
	if c == nil {
		return nil
	}
	const initrd = "CONFIG_BLK_DEV_INITRD"
	if !has(c, initrd) {
		return fmt.Errorf("the kernel takes no initramfs: it was built without %s", initrd)
	}
	unpacks := func(comp Compression) bool { return comp == None || has(c, unpackOption(comp)) }
	if unpacks(comp) {
		return nil
	}
	works := slices.DeleteFunc(Compressions(), func(comp Compression) bool { return !unpacks(comp) })
	return fmt.Errorf("the kernel cannot unpack %s: it was built without %s; it takes %s",
		comp, unpackOption(comp), join(works))
}

// EnforcesSignatures tells whether a kernel of this configuration, booted with
// this command line, refuses modules without a valid signature, and names the
// reason: "CONFIG_MODULE_SIG_FORCE", "module.sig_enforce". With an unknown
// configuration only the line counts. A kernel that locks itself down under
// UEFI Secure Boot alone is not told from others.
//
// It follows module_sig_check (kernel/module/signing.c) and lockdown_param
// (security/lockdown/lockdown.c), v6.12.
func EnforcesSignatures(c kernels.Config, line string) (reason string, enforced bool) {
	if c != nil && !has(c, "CONFIG_MODULE_SIG") {
		return "", false
	}
	for _, option := range [...]string{
		"CONFIG_MODULE_SIG_FORCE",
		"CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY",
		"CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY",
	} {
		if has(c, option) {
			return option, true
		}
	}
	// Both can only be switched on, so any word counts, not the last.
	const enforce, lockdown = "module.sig_enforce", "lockdown"
	for _, word := range cmdline.Parse(line).Words {
		args := cmdline.Args{Words: []cmdline.Arg{word}}
		if on, _, _ := args.Bool(enforce); on {
			return enforce, true
		}
		if level, _ := args.Value(lockdown); (level == "integrity" || level == "confidentiality") &&
			(c == nil || has(c, "CONFIG_SECURITY_LOCKDOWN_LSM")) {
			return lockdown + "=" + level, true
		}
	}
	return "", false
}
