package kernels

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"rambox/kernel"
)

func TestParseProfile(t *testing.T) {
	tests := []struct {
		name, in string
		want     Profile
		err      string
	}{
		{name: "all there is",
			in: "# Small.\n# Really.\nfor amd64 arm64\n\n# not about it\nbase\namd64: x86  x86-64\narm64: arm64\n",
			want: Profile{Name: "p", About: "Small. Really.", Archs: []string{"amd64", "arm64"}, Fragments: []ProfileFragment{
				{"", "base"}, {"amd64", "x86"}, {"amd64", "x86-64"}, {"arm64", "arm64"}}}},
		{name: "a fragment called for", in: "for amd64\nfor\n",
			want: Profile{Name: "p", Archs: []string{"amd64"}, Fragments: []ProfileFragment{{"", "for"}}}},
		{name: "empty", err: "no line for ARCH"},
		{name: "fragment first", in: "base\nfor amd64\n", err: `profile p:1: "base" stands before`},
		{name: "another architecture", in: "for amd64\narm64: x\n", err: `profile p:2: it is for amd64, not for "arm64"`},
		{name: "two fragments in a line", in: "for amd64\nbase size\n", err: "profile p:2"},
		{name: "no fragment after a colon", in: "for amd64\namd64:\n", err: "profile p:2"},
		{name: "a path", in: "for amd64\n../x\n", err: `fragment "../x": not a name`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseProfile("p", []byte(tt.in))
			if !matches(err, tt.err) {
				t.Fatalf("parseProfile(%q) error = %v, want %q", tt.in, err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("parseProfile(%q) (-want +got):\n%s", tt.in, diff)
			}
		})
	}
}

func TestLoadProfile(t *testing.T) {
	fsys := fstest.MapFS{
		"base.config":    {Data: []byte("CONFIG_NET=y\n")},
		"x86.config":     {Data: []byte("CONFIG_PVH=y\n")},
		"bad.config":     {Data: []byte("NET=y\n")},
		"profiles/run":   {Data: []byte("for amd64 arm64\nbase\namd64: x86\n")},
		"profiles/wrong": {Data: []byte("for amd64\nbad\n")},
		"profiles/hole":  {Data: []byte("for amd64\nabsent\n")},
	}
	tests := []struct {
		profile, arch string
		want          []string
		err           string
	}{
		{profile: "run", arch: "amd64", want: []string{"base.config:1", "x86.config:1"}},
		{profile: "run", arch: "arm64", want: []string{"base.config:1"}},
		{profile: "run", arch: "386", err: "profile run: it is for amd64, arm64, not for 386"},
		{profile: "wrong", arch: "amd64", err: "bad.config:1"},
		{profile: "hole", arch: "amd64", err: "fragment absent of profile hole"},
		{profile: "fast", arch: "amd64", err: `profile "fast": want hole, run, wrong`},
		{profile: "../base.config", arch: "amd64", err: "not a name"},
		{profile: "", arch: "amd64", err: "not a name"},
	}
	for _, tt := range tests {
		t.Run(tt.profile+" "+tt.arch, func(t *testing.T) {
			var got []string
			p, err := LoadProfile(fsys, tt.profile)
			if err == nil {
				var all [][]Setting
				all, err = p.Settings(fsys, tt.arch)
				for _, s := range merge(all...) {
					got = append(got, s.Where())
				}
			}
			if !matches(err, tt.err) {
				t.Fatalf("error = %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("settings of %s for %s (-want +got):\n%s", tt.profile, tt.arch, diff)
			}
		})
	}
}

// TestOurProfiles holds the rules of package kernel's documentation.
func TestOurProfiles(t *testing.T) {
	profiles, err := Profiles(kernel.FS)
	if err != nil {
		t.Fatal(err)
	}
	archs := map[string]string{}
	used := map[string]bool{}
	for _, p := range profiles {
		archs[p.Name] = strings.Join(p.Archs, " ")
		if p.About == "" {
			t.Errorf("profile %s does not say what it is for", p.Name)
		}
		for _, arch := range p.Archs {
			if _, err := findTarget(arch); err != nil {
				t.Errorf("profile %s: %v", p.Name, err)
			}
			fragments, err := p.Settings(kernel.FS, arch)
			if err != nil {
				t.Error(err)
			}
			checkAgreement(t, p.Name+" for "+arch, fragments)
		}
		for _, f := range p.Fragments {
			used[f.Name+".config"] = true
		}
	}
	want := map[string]string{"run": "amd64 arm64", "micro": "amd64 arm64 386", "tiny": "amd64 386", "node": "amd64", "iso": "amd64"}
	if diff := cmp.Diff(want, archs); diff != "" {
		t.Errorf("profiles and their architectures (-want +got):\n%s", diff)
	}
	files, err := fs.Glob(kernel.FS, "*.config")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !used[f] {
			t.Errorf("no profile has fragment %s", f)
		}
	}
}

// checkAgreement reports symbols that two fragments want to be different things.
func checkAgreement(t *testing.T, profile string, fragments [][]Setting) {
	t.Helper()
	first := map[string]Setting{}
	for _, settings := range fragments {
		for _, s := range settings {
			if have, ok := first[s.Symbol]; ok && have.Value != s.Value {
				t.Errorf("%s: %s wants %s, %s wants %s", profile, have.Where(), have, s.Where(), s)
			}
			first[s.Symbol] = s
		}
	}
}

func FuzzParseProfile(f *testing.F) {
	f.Add("# about\nfor amd64 arm64\nbase\namd64: x86 x86-64\n")
	f.Fuzz(func(t *testing.T, in string) {
		p, err := parseProfile("p", []byte(in))
		if err != nil {
			return
		}
		if len(p.Archs) == 0 {
			t.Errorf("parseProfile(%q) accepts a profile for nothing", in)
		}
		for _, fragment := range p.Fragments {
			if !isFileName(fragment.Name) {
				t.Errorf("parseProfile(%q) accepts fragment %q", in, fragment.Name)
			}
		}
	})
}
