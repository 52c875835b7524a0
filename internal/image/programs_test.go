package image

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"rambox/internal/kernels"
)

func TestOtherArchitecture(t *testing.T) {
	dir := t.TempDir()
	build := func(arch string) string {
		file := filepath.Join(dir, arch)
		if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\nfunc main() {}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("go", "build", "-o", file, "main.go")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GO111MODULE=off", "GOARCH="+arch)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
		return file
	}
	with := func(option string) kernels.Config {
		return kernels.Config{"BLK_DEV_INITRD": "y", "RD_ZSTD": "y", option: "y"}
	}
	for _, test := range []struct {
		program, arch string
		config        kernels.Config
		err           string
	}{
		{"arm64", "arm64", nil, ""},
		{"arm64", "amd64", nil, "built for arm64, the image is for amd64"},
		{"amd64", "arm64", nil, "built for amd64, the image is for arm64"},
		{"386", "amd64", nil, ""},
		{"386", "amd64", with("IA32_EMULATION"), ""},
		{"386", "amd64", with("X"), "without CONFIG_IA32_EMULATION"},
		{"amd64", "386", nil, "built for amd64, the image is for 386"},
		{"amd64", "vax", nil, `architecture "vax": want one of amd64`},
	} {
		_, _, err := Assemble(Spec{Arch: test.arch, Payload: []string{build(test.program)}, Kernel: KernelInfo{Config: test.config}})
		if !matches(err, test.err) {
			t.Errorf("%s in an image for %s: %v, want %q", test.program, test.arch, err, test.err)
		}
	}
}

func TestScripts(t *testing.T) {
	for _, test := range []struct {
		name, first string
		want        []string // in the image
		err         string
	}{
		{"an interpreter of the host", "#!/bin/bash", []string{"bin/bash"}, ""},
		{"by env", "#!/usr/bin/env perl", []string{"usr/bin/env", "usr/bin/perl"}, ""},
		{"by env with options", "#! /usr/bin/env -S A=b perl -w", []string{"usr/bin/perl"}, ""},
		{"in a comment", "# !/bin/bash", nil, ""},
		{"missing", "#!/no/such/shell -x", nil, "its interpreter /no/such/shell is not there"},
		{"missing by env", "#!/usr/bin/env nosuchprogram", nil, "its interpreter nosuchprogram is not in /usr/local/sbin"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tree, _, err := Assemble(Spec{Add: []Add{AddFile("script", 0o755, []byte(test.first+"\n"))}})
			if !matches(err, test.err) {
				t.Fatalf("Assemble: %v, want %q", err, test.err)
			}
			for _, name := range test.want {
				if !tree.isProgram(name) {
					t.Errorf("no program %s in %q", name, names(tree))
				}
			}
		})
	}
}

// Scripts below a named directory get their interpreters, too.
func TestScriptsOfADirectory(t *testing.T) {
	dir := t.TempDir()
	for name, first := range map[string]string{"good": "#!/bin/bash\n", "bad": "#!/no/such/shell\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(first), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tree, report, err := Assemble(Spec{Add: []Add{{Host: dir, Entry: Entry{Path: "srv"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if !tree.isProgram("bin/bash") || len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "/no/such/shell") {
		t.Errorf("notes %q, files %q", report.Notes, names(tree))
	}
}

func TestParseShebang(t *testing.T) {
	for in, want := range map[string][2]string{
		"#!/bin/sh\nrest":              {"/bin/sh", ""},
		"#! /bin/sh  -e -x \n":         {"/bin/sh", "-e -x"},
		"#!/usr/bin/env\tpython3":      {"/usr/bin/env", "python3"},
		"#!\n":                         {"", ""},
		"#/bin/sh":                     {"", ""},
		"":                             {"", ""},
		"\x7fELF":                      {"", ""},
		"#!" + strings.Repeat("x", 20): {strings.Repeat("x", 20), ""},
	} {
		if interp, arg := parseShebang([]byte(in)); interp != want[0] || arg != want[1] {
			t.Errorf("parseShebang(%q) = %q, %q; want %q", in, interp, arg, want)
		}
	}
}

func FuzzParseShebang(f *testing.F) {
	f.Add([]byte("#!/bin/sh -e\n"))
	f.Fuzz(func(t *testing.T, head []byte) {
		interp, arg := parseShebang(head)
		if strings.ContainsAny(interp, " \t\n") || strings.Contains(arg, "\n") {
			t.Errorf("parseShebang(%q) = %q, %q", head, interp, arg)
		}
	})
}

// A tree that brings its loader is left alone.
func TestSelfContainedTree(t *testing.T) {
	dir := t.TempDir()
	loader := ldd(t, "/bin/ls")
	program := cc(t, dir, "int main(void) { return 0; }", "bin/program")
	interp := loader[len(loader)-1]
	a, err := archNamed(runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range loader {
		if l == a.glibc {
			interp = l
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(interp)), 0o755); err != nil {
		t.Fatal(err)
	}
	command(t, "", nil, "cp", interp, filepath.Join(dir, interp))
	_, report, err := Assemble(Spec{Add: []Add{{Host: dir, Entry: Entry{Path: "/"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Libraries) != 0 || len(report.Notes) != 1 || !strings.Contains(report.Notes[0], libc) {
		t.Errorf("libraries %q, notes %q of %s; want nothing from the host and a note", report.Libraries, report.Notes, program)
	}
}
