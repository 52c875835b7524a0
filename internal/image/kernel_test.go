package image

import (
	"os"
	"path/filepath"
	"testing"

	"rambox/internal/kernels"
)

// config is the configuration with these lines.
func config(t testing.TB, text string) kernels.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := kernels.ReadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCanUnpack(t *testing.T) {
	const initrd = "CONFIG_BLK_DEV_INITRD=y\n"
	for _, test := range []struct {
		name   string
		config kernels.Config
		c      Compression
		err    string
	}{
		{"unknown", nil, Zstd, ""},
		{"no initramfs at all", config(t, "CONFIG_RD_ZSTD=y\n"), None, "built without CONFIG_BLK_DEV_INITRD"},
		{"none always works", config(t, initrd), None, ""},
		{"it can", config(t, initrd+"CONFIG_RD_ZSTD=y\n"), Zstd, ""},
		{"it can, however small", config(t, initrd+"CONFIG_RD_ZSTD=y\n"), ZstdBest, ""},
		{"it cannot", config(t, initrd+"CONFIG_RD_GZIP=y\nCONFIG_RD_LZ4=y\n"), Zstd, "cannot unpack zstd: it was built without CONFIG_RD_ZSTD; it takes gzip, lz4, none"},
		{"nothing packed", config(t, initrd), XZ, "CONFIG_RD_XZ; it takes none"},
	} {
		if err := CanUnpack(test.config, test.c); !matches(err, test.err) {
			t.Errorf("%s: %v, want %q", test.name, err, test.err)
		}
	}
	_, _, err := Assemble(Spec{Kernel: KernelInfo{Config: config(t, initrd)}})
	if !matches(err, "CONFIG_RD_ZSTD") {
		t.Errorf("Assemble: %v, want the missing option", err)
	}
}

func TestEnforcesSignatures(t *testing.T) {
	const sig = "CONFIG_MODULE_SIG=y\n"
	for _, test := range []struct {
		name, config, line, want string
	}{
		{"signed, not enforced", sig, "quiet", ""},
		{"forced", sig + "CONFIG_MODULE_SIG_FORCE=y", "", "CONFIG_MODULE_SIG_FORCE"},
		{"forced off", sig + "CONFIG_MODULE_SIG_FORCE=n", "", ""},
		{"lockdown built in", sig + "CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY=y", "", "CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY"},
		{"confidential", sig + "CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY=y", "", "CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY"},
		{"on the line", sig, "a module.sig_enforce b", "module.sig_enforce"},
		{"on the line with a value", sig, "module.sig-enforce=1", "module.sig_enforce"},
		{"off on the line", sig, "module.sig_enforce=0", ""},
		{"it cannot be switched off", sig, "module.sig_enforce=1 module.sig_enforce=0", "module.sig_enforce"},
		{"lockdown", sig + "CONFIG_SECURITY_LOCKDOWN_LSM=y", "lockdown=integrity", "lockdown=integrity"},
		{"lockdown twice", sig + "CONFIG_SECURITY_LOCKDOWN_LSM=y", "lockdown=confidentiality lockdown=none", "lockdown=confidentiality"},
		{"lockdown of nothing", sig + "CONFIG_SECURITY_LOCKDOWN_LSM=y", "lockdown=none", ""},
		{"lockdown is not built", sig, "lockdown=integrity", ""},
		{"signatures are not built", "CONFIG_MODULES=y", "module.sig_enforce", ""},
	} {
		got, enforced := EnforcesSignatures(config(t, test.config), test.line)
		if got != test.want || enforced != (test.want != "") {
			t.Errorf("%s: %q, %t; want %q", test.name, got, enforced, test.want)
		}
	}
	for line, want := range map[string]string{"": "", "module.sig_enforce": "module.sig_enforce", "lockdown=integrity": "lockdown=integrity"} {
		if got, _ := EnforcesSignatures(nil, line); got != want {
			t.Errorf("unknown configuration, %q: %q, want %q", line, got, want)
		}
	}
}
