package image

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (go test -update writes it anew): %s", file, diff)
	}
}

func fakeProgram(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte("this is "+name), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestGolden shows a whole image, and what rambox build prints of it.
func TestGolden(t *testing.T) {
	busybox := fakeBusybox(t)
	app := fakeProgram(t, "app")
	tree, report, err := Assemble(Spec{
		Init:    fakeProgram(t, "init"),
		Busybox: busybox,
		Payload: []string{app, "-v", "two words"},
		Add: []Add{
			AddFile("etc/motd", 0o644, []byte("welcome\n")),
			AddFile("etc/hosts", 0o644, []byte("127.0.0.1 localhost\n")),
			AddNode("dev/kmsg", fs.ModeDevice|fs.ModeCharDevice|0o644, 1, 11),
		},
		Kernel:          KernelInfo{ModulesDir: moduleDir(t)},
		Modules:         []string{SetQEMU, "e100"},
		UnsignedModules: true,
		Firmware:        []string{t.TempDir()},
		Cmdline:         "quiet rambox.onexit=poweroff",
		Hostname:        "golden",
		Locked:          true,
		Nonce:           "b7f1",
	})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := tree.Write(&out, None); err != nil {
		t.Fatal(err)
	}
	var list strings.Builder
	im := read(t, out.Bytes())
	for _, e := range im.Archives[0].Entries {
		fmt.Fprintln(&list, e)
	}
	golden(t, "listing.golden", list.String())
	golden(t, "report.golden", report.String())
	for name, want := range map[string]string{
		"etc/rambox/payload": "/usr/local/bin/app\x00-v\x00two words\x00",
		"etc/rambox/cmdline": "quiet rambox.onexit=poweroff",
		"etc/rambox/nonce":   "b7f1",
		"etc/hosts":          "127.0.0.1 localhost\n",
		"etc/hostname":       "golden\n",
		"sbin/renew_ip":      "this is init",
	} {
		if got := text(t, im.Tree(), name); got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
}

func TestEmptySpec(t *testing.T) {
	tree, _, err := Assemble(Spec{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"init", "etc/rambox", "bin/busybox", "lib"} {
		if _, ok := tree.Lookup(name); ok {
			t.Errorf("%s is there, and nobody asked for it", name)
		}
	}
}

func TestUsersInitStays(t *testing.T) {
	tree, report, err := Assemble(Spec{Init: fakeProgram(t, "ours"), Add: []Add{AddFile("init", 0o755, []byte("mine"))}})
	if err != nil {
		t.Fatal(err)
	}
	if got := text(t, tree, "init"); got != "mine" {
		t.Errorf("init holds %q, want the user's", got)
	}
	if len(report.Notes) != 1 || !strings.Contains(report.Notes[0], "/init is the user's own") {
		t.Errorf("notes %q", report.Notes)
	}
}

func TestPayload(t *testing.T) {
	app := fakeProgram(t, "app")
	t.Chdir(filepath.Dir(app))
	home, err := filepath.EvalSymlinks(filepath.Dir(app))
	if err != nil {
		t.Fatal(err)
	}
	mine := AddFile("opt/app", 0o755, []byte("mine"))
	for _, test := range []struct {
		name    string
		payload string
		add     []Add
		want    string
		err     string
	}{
		{"relative", "./app", nil, "/usr/local/bin/app", ""},
		{"relative, in the way of the user's", "./app", []Add{AddFile("usr/local/bin/app", 0o755, []byte("other"))}, "", "both have it"},
		{"absolute in the image", "/opt/app", []Add{mine}, "/opt/app", ""},
		{"hidden by a mount", app, nil, "/usr/local/bin/app", ""},
		{"an applet", "ls", nil, "/bin/ls", ""},
		{"the user's own before the applet", "ls", []Add{AddFile("usr/local/bin/ls", 0o755, []byte("mine"))}, "/usr/local/bin/ls", ""},
		{"of the host by path, not the applet", "/bin/sh", nil, "/bin/sh", ""},
		{"of the host's PATH", "app", nil, "/usr/local/bin/app", ""},
		{"nowhere", "nosuchprogram", nil, "", "payload nosuchprogram: no such program in the image or in PATH"},
		{"nowhere by path", "/no/such/program", nil, "", "payload /no/such/program: no such program"},
		{"a directory", "/", nil, "", "not a regular file"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("PATH", home+":"+os.Getenv("PATH"))
			tree, report, err := Assemble(Spec{Payload: []string{test.payload, "x"}, Busybox: fakeBusybox(t), Add: test.add})
			if !matches(err, test.err) {
				t.Fatalf("Assemble: %v, want %q", err, test.err)
			}
			if strings.Contains(test.err, "no such program") != errors.Is(err, ErrNoProgram) {
				t.Errorf("errors.Is(%v, ErrNoProgram) = %t", err, errors.Is(err, ErrNoProgram))
			}
			if err != nil {
				return
			}
			if got := strings.Join(report.Payload, " "); got != test.want+" x" {
				t.Errorf("payload %q, want %q", got, test.want)
			}
			if !tree.isProgram(test.want) {
				t.Errorf("no program %s", test.want)
			}
			if e, _ := tree.Lookup(test.want); test.payload == "/bin/sh" && e.Source == "busybox" {
				t.Error("/bin/sh is busybox's")
			}
		})
	}
}

func TestSettingsOfTheUser(t *testing.T) {
	own := AddFile("etc/rambox/cmdline", 0o644, []byte("loglevel=7"))
	if _, _, err := Assemble(Spec{Add: []Add{own}}); err != nil {
		t.Error(err)
	}
	if _, _, err := Assemble(Spec{Add: []Add{own}, Cmdline: "quiet"}); !matches(err, "both have it, and they differ") {
		t.Errorf("two command lines: %v", err)
	}
}

func TestReportSizes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 5 << 20: "5.0 MiB"} {
		if got := formatSize(n); got != want {
			t.Errorf("formatSize(%d) = %q, want %q", n, got, want)
		}
	}
}

func ExampleAssemble() {
	tree, _, err := Assemble(Spec{
		Add:     []Add{AddFile("/srv/data/motd", 0o644, []byte("welcome\n"))},
		Cmdline: "quiet",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	var packed bytes.Buffer
	if _, err := tree.Write(&packed, Zstd); err != nil {
		fmt.Println(err)
		return
	}
	image, err := Read(bytes.NewReader(packed.Bytes()), int64(packed.Len()))
	if err != nil {
		fmt.Println(err)
		return
	}
	line, err := fs.ReadFile(image.Files(), "etc/rambox/cmdline")
	fmt.Printf("%s, %s, %v\n", image.Archives[0].Compression, line, err)
	for _, e := range image.Archives[0].Entries {
		if strings.HasPrefix(e.Path, "srv") {
			fmt.Println(e)
		}
	}
	// Output:
	// zstd, quiet, <nil>
	// drwxr-xr-x   2 0        0               0 Jan  1  1970 srv
	// drwxr-xr-x   2 0        0               0 Jan  1  1970 srv/data
	// -rw-r--r--   1 0        0               8 Jan  1  1970 srv/data/motd
}
