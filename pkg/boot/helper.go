//go:build linux

package boot

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rambox/pkg/cmdline"
)

// helperSilence is how long a helper or a hook may say nothing; one that works
// on something long says how far it is.
const helperSilence = time.Minute

// runHelper has the image's program for this kind of root bring it; see
// docs/helpers.md for the contract.
func (m *pid1) runHelper(r Root, target string) error {
	if _, err := os.Stat(r.Name); err != nil {
		return fmt.Errorf("root=%s: the image has no helper for it, %s", r.Spec, r.Name)
	}
	// It cannot load modules itself, and most bring an image.
	m.loadFor("loop", "fs-squashfs", "fs-erofs")
	for _, t := range r.Types {
		m.loadFor("fs-" + t)
	}
	mode := "rw"
	if r.Flags&unix.MS_RDONLY != 0 {
		mode = "ro"
	}
	last, err := m.runProgram(r.Name, []string{r.Spec, target}, "RAMBOX_MODE="+mode)
	if err != nil {
		if last != "" {
			return fmt.Errorf("%s (%w)", last, err)
		}
		return err
	}
	var above, at unix.Stat_t
	if unix.Stat(target+"/..", &above) != nil || unix.Stat(target, &at) != nil || above.Dev == at.Dev {
		return fmt.Errorf("helper %s ended well, but nothing is mounted on %s", r.Name, target)
	}
	return nil
}

// hookDir has a directory for each stage, with programs that are run in the
// order of their names when it is over.
const hookDir = "/lib/rambox/hooks"

// runHooks runs the image's programs for a stage. One that fails is named in
// the log, and the boot goes on.
func (m *pid1) runHooks(stage string) {
	dir := hookDir + "/" + stage + ".d/"
	for _, name := range list(dir) {
		if _, err := m.runProgram(dir+name, []string{stage}); err != nil {
			m.log.Errorf("hook: %v", err)
		}
	}
}

// runProgram runs a helper or a hook to its end, and puts what it says on the
// consoles. It returns the last line of that.
func (m *pid1) runProgram(program string, args []string, env ...string) (last string, err error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return "", os.NewSyscallError("pipe", err)
	}
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		null = 0
	} else {
		defer unix.Close(null)
	}
	attr := &syscall.ProcAttr{
		Env:   append(append(m.environment("dumb"), "RAMBOX_CMDLINE="+quoted(m.line)), env...),
		Dir:   "/",
		Files: []uintptr{uintptr(null), uintptr(pipe[1]), uintptr(pipe[1])},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	}
	pid, done, err := m.start(program, append([]string{program}, args...), attr)
	unix.Close(pipe[1])
	if err != nil {
		unix.Close(pipe[0])
		return "", fmt.Errorf("run %s: %w%s", program, err, execHint(program, err))
	}
	var heard atomic.Int64
	heard.Store(time.Now().UnixNano())
	read := make(chan string, 1)
	m.spawn(func() {
		defer unix.Close(pipe[0])
		line := ""
		defer func() { read <- line }()
		readLines(pipe[0], func(s string) {
			heard.Store(time.Now().UnixNano())
			if s = strings.TrimSpace(s); s != "" {
				line = s
				m.everyConsole(s + "\n")
			}
		})
	})
	err = m.watchProgram(program, pid, done, &heard)
	// What it has left running may hold the pipe.
	select {
	case last = <-read:
	case <-time.After(time.Second):
	}
	return last, err
}

// quoted writes a command line so that it can be parsed again. A word that the
// grammar cannot carry, which came from no command line, is left out.
func quoted(args cmdline.Args) string {
	var words []string
	for _, w := range args.Words {
		if word, ok := cmdline.Quote(w.String()); ok {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// watchProgram waits for the end of a program, and kills one that is silent for
// too long, or that nobody wants any more.
func (m *pid1) watchProgram(program string, pid int, done <-chan unix.WaitStatus, heard *atomic.Int64) error {
	for {
		silent := time.Since(time.Unix(0, heard.Load()))
		select {
		case status := <-done:
			if end := m.endingOf(pid, status); end.word != "exit" || end.detail != "0" {
				return fmt.Errorf("%s: %s %s", program, end.word, end.detail)
			}
			return nil
		case <-time.After(helperSilence - silent):
			if time.Since(time.Unix(0, heard.Load())) < helperSilence {
				continue
			}
			unix.Kill(-pid, unix.SIGKILL)
			<-done
			return fmt.Errorf("%s said nothing for %v and was killed", program, helperSilence)
		case <-m.ctx.Done():
			unix.Kill(-pid, unix.SIGTERM)
			select {
			case <-done:
			case <-time.After(termWait):
				unix.Kill(-pid, unix.SIGKILL)
			}
			return fmt.Errorf("%s: %w", program, m.ctx.Err())
		}
	}
}
