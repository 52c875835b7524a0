package kernels

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseControl(t *testing.T) {
	const text = `Package: linux-image-cloud-amd64
Version: 6.1.192-2
Description: Linux: a kernel
 Version: not a field
Pre-Depends: dpkg
Depends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2), a:any [amd64] | b, , c|d
Size: 1504

Package: other
Version: 2
`
	want := debPackage{
		name: "linux-image-cloud-amd64", version: "6.1.192-2", size: "1504",
		depends: []string{"dpkg", "linux-image-6.1.0-56-cloud-amd64", "a", "c"},
	}
	got, ok := parseControl(text)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(debPackage{})); diff != "" || !ok {
		t.Errorf("parseControl: %v (-want +got):\n%s", ok, diff)
	}
	for _, bad := range []string{"", "\n\n", "Package: a\n", "Version: 1\n", "N: Unable to locate package a\n"} {
		if p, ok := parseControl(bad); ok {
			t.Errorf("parseControl(%q) = %+v, want nothing", bad, p)
		}
	}
}

func FuzzParseControl(f *testing.F) {
	f.Add("Package: a\nVersion: 1\nDepends: b (= 1) | c, d:any\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := parseControl(text)
		if ok && (p.name == "" || p.version == "") {
			t.Errorf("parseControl(%q) = %+v", text, p)
		}
		for _, d := range p.depends {
			if d == "" {
				t.Errorf("parseControl(%q) depends on nothing", text)
			}
		}
	})
}

func TestComplaint(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "",
		"W: old\nE:  first \nE: second": "first",
		"a\nb\n":                        "b",
	} {
		if got := complaint(in); got != want {
			t.Errorf("complaint(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPackageName(t *testing.T) {
	for _, tt := range []struct{ flavour, arch, want string }{
		{"", "amd64", "linux-image-cloud-amd64"},
		{"cloud", "arm64", "linux-image-cloud-arm64"},
		{"generic", "amd64", "linux-image-amd64"},
		{"", "386", "linux-image-686"},
		{"generic", "386", "linux-image-686"},
		{"", "arm", "linux-image-armmp"},
		{"", "arm64", "linux-image-cloud-arm64"},
		{"", "riscv64", "linux-image-riscv64"},
		{"rt", "amd64", "linux-image-rt-amd64"},
		{"6.1.0-56-cloud-amd64", "amd64", "linux-image-6.1.0-56-cloud-amd64"},
		{"linux-image-x", "amd64", "linux-image-x"},
	} {
		if got, err := packageName(tt.flavour, tt.arch); got != tt.want || err != nil {
			t.Errorf("packageName(%q, %q) = %q, %v, want %q", tt.flavour, tt.arch, got, err, tt.want)
		}
	}
	if got, err := packageName("", "mips"); err == nil {
		t.Errorf("packageName for mips = %q, want an error", got)
	}
}
