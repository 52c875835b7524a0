package kernels

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestIsStep(t *testing.T) {
	tests := map[string]bool{
		"  CC      init/main.o":          true,
		"  HOSTCC  scripts/basic/x.o":    true,
		"  AR      built-in.a":           true,
		"  CC [M]  fs/x.o":               true,
		"  MKPIGGY arch/x86/boot/p.S":    true,
		"CC init/main.o":                 false,
		"  GEN":                          false,
		"  LD      ":                     false,
		"    CC    deeper":               false,
		"  from init/main.c:3":           false,
		"  if (Xy) {":                    false,
		"":                               false,
		"make[1]: Entering directory 'x": false,
	}
	for line, want := range tests {
		if got := isStep(line); got != want {
			t.Errorf("isStep(%q) = %v, want %v", line, got, want)
		}
	}
}

func TestProgress(t *testing.T) {
	var in strings.Builder
	for i := range 40 {
		fmt.Fprintf(&in, "  CC      a/%d.o\nnote %d\n", i, i)
	}
	tests := []struct {
		name  string
		total int
		want  string
	}{
		{"as many steps as estimated", 10, " 10 %  CC a/0.o\n 20 %  CC a/1.o\n 30 %  CC a/2.o\n 40 %  CC a/3.o\n 50 %  CC a/4.o\n 60 %  CC a/5.o\n 70 %  CC a/6.o\n 80 %  CC a/7.o\n 90 %  CC a/8.o\n"},
		{"many steps", 1000, "  1 %  CC a/9.o\n  2 %  CC a/19.o\n  3 %  CC a/29.o\n  4 %  CC a/39.o\n"},
		{"more steps", 5, " 20 %  CC a/0.o\n 40 %  CC a/1.o\n 60 %  CC a/2.o\n 80 %  CC a/3.o\n"},
		{"unknown", 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var log strings.Builder
			p := progress{log: &log, total: tt.total}
			if err := p.read(strings.NewReader(in.String() + "Error 2")); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, log.String()); diff != "" {
				t.Errorf("progress lines (-want +got):\n%s", diff)
			}
			if len(p.tail) != tailLines || p.tail[tailLines-1] != "Error 2" || p.tail[0] != "note 25" {
				t.Errorf("tail = %q, want the last %d lines", p.tail, tailLines)
			}
		})
	}
}

func TestMakeRunErrors(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"Makefile": "fail:\n\t@echo one; echo two >&2; exit 3\nhang:\n\tsleep 60\n"})
	short, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errors.New("time is up"))
	defer cancel()
	tests := []struct {
		name, goal string
		ctx        context.Context
		err        string
	}{
		{"last lines", "fail", t.Context(), "make fail: exit status 2; its last lines:\nmake: Entering directory"},
		{"both streams", "fail", t.Context(), "\none\ntwo\nmake: *** [Makefile:2: fail] Error 3"},
		{"a limit", "hang", short, "make hang: time is up"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := makeRun{target: target{arch: runtime.GOARCH, native: []string{runtime.GOARCH}}, source: dir, out: dir}
			start := time.Now()
			if err := m.run(tt.ctx, tt.goal); !matches(err, tt.err) {
				t.Errorf("run error = %v, want %q", err, tt.err)
			}
			if d := time.Since(start); d > stopDelay {
				t.Errorf("make took %v to stop", d)
			}
		})
	}
}

func TestMakeEnv(t *testing.T) {
	got := makeEnv([]string{"PATH=/bin", "MAKEFLAGS=-j --jobserver-auth=3,4", "MAKELEVEL=1", "ARCH=arm64", "KCFLAGS=-O3",
		"KBUILD_OUTPUT=/x", "KCONFIG_CONFIG=/x", "CCACHE_DIR=/c", "LC_ALL=de_DE", "HOME=/root"})
	want := []string{"PATH=/bin", "CCACHE_DIR=/c", "HOME=/root", "LC_ALL=C"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("makeEnv (-want +got):\n%s", diff)
	}
}
