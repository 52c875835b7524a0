package kernels

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// makeRun is one run of the kernel's make.
type makeRun struct {
	target target
	source string // the tree, which is only read
	out    string // the object directory: O=
	vars   []string
	steps  int       // about how many steps it will take, for percentages; 0: unknown
	log    io.Writer // progress lines
}

// tailLines is how much of make's output an error shows.
const tailLines = 30

// stopDelay is how long an interrupted make has to end by itself.
const stopDelay = 10 * time.Second

// run makes the goals. Its error ends with the last lines of make's output.
func (m makeRun) run(ctx context.Context, goals ...string) error {
	args := []string{"-C", m.source, "O=" + m.out, "ARCH=" + m.target.make}
	if p := m.target.prefix(); p != "" {
		args = append(args, "CROSS_COMPILE="+p)
	}
	args = append(append(args, m.vars...), goals...)
	cmd := exec.CommandContext(ctx, "make", args...)
	cmd.Env = makeEnv(os.Environ())
	// make hands SIGTERM on to its children; a SIGKILL would leave them.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopDelay
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	p := progress{log: m.log, total: m.steps}
	read := make(chan error, 1)
	go func() { read <- p.read(r) }()
	err := cmd.Run()
	w.Close()
	if readErr := <-read; err == nil {
		err = readErr
	}
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("make %s: %w", strings.Join(goals, " "), context.Cause(ctx))
		}
		return fmt.Errorf("make %s: %w; its last lines:\n%s", strings.Join(goals, " "), err, strings.Join(p.tail, "\n"))
	}
	return nil
}

// makeEnv is the environment without what would change the kernel or belongs to
// a make around us (whose job server is not ours).
func makeEnv(environ []string) []string {
	env := slices.DeleteFunc(slices.Clone(environ), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		switch name {
		case "ARCH", "SUBARCH", "CROSS_COMPILE", "CC", "LD", "LLVM", "LOCALVERSION", "KCFLAGS", "KCPPFLAGS",
			"KAFLAGS", "INSTALL_MOD_PATH", "MFLAGS", "LC_ALL", "V", "W", "C", "O":
			return true
		}
		return strings.HasPrefix(name, "KBUILD_") || strings.HasPrefix(name, "KCONFIG_") || strings.HasPrefix(name, "MAKE")
	})
	return append(env, "LC_ALL=C")
}

// progress turns make's output into a line for every hundredth of the work.
type progress struct {
	log   io.Writer
	total int
	steps int
	tail  []string
}

func (p *progress) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			p.line(strings.TrimRight(line, "\n"))
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (p *progress) line(line string) {
	if p.tail = append(p.tail, line); len(p.tail) > tailLines {
		p.tail = p.tail[1:]
	}
	if !isStep(line) {
		return
	}
	p.steps++
	if p.total == 0 {
		return
	}
	percent := func(steps int) int { return steps * 100 / p.total }
	if now := percent(p.steps); now > percent(p.steps-1) && now < 100 {
		fmt.Fprintf(p.log, "%3d %%  %s\n", now, strings.Join(strings.Fields(line), " "))
	}
}

// estimateSteps is about how many steps a build of this configuration from
// nothing takes: a line through what v6.12 took on x86 with 439, 550 and 694
// symbols on (1100, 1740 and 2100).
func estimateSteps(c Config) int {
	on := 0
	for _, value := range c {
		if value == "y" {
			on++
		}
	}
	return max(on*39/10-560, 100)
}

// isStep recognizes kbuild's short form of a command: "  CC      init/main.o".
func isStep(line string) bool {
	rest, ok := strings.CutPrefix(line, "  ")
	if !ok || rest == "" || rest[0] < 'A' || rest[0] > 'Z' {
		return false
	}
	word, operand, ok := strings.Cut(rest, " ")
	return ok && strings.TrimSpace(operand) != "" && strings.ToUpper(word) == word
}
