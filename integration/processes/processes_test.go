//go:build linux

// Package processes tests init as the parent of everything.
package processes

import (
	"testing"

	"rambox/internal/vmtest"
)

// TestOrphans makes thousands of short-lived orphans while the payload waits
// for children of its own: each status must reach the one who waits for it.
func TestOrphans(t *testing.T) {
	t.Parallel()
	dir := vmtest.Tree(t)
	orphans := vmtest.Program(t, `
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) {
	for (int i = 0; i < 5000; i++) {
		int status;
		pid_t child = fork();
		if (child < 0) { perror("fork"); return 2; }
		if (child == 0) {
			if (fork() == 0) _exit(i % 200);	/* an orphan for init */
			_exit(i % 100);
		}
		if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != i % 100) {
			printf("lost status %d\n", i);
			return 3;
		}
	}
	puts("5000 orphans");
	fflush(stdout);
	sleep(1);
	/* no zombie is left */
	int n = system("for s in /proc/[0-9]*/stat; do read -r l < $s && case $l in *') Z '*) echo zombie $l;; esac; done 2>/dev/null");
	return n == 0 ? 42 : 4;
}`)
	vmtest.Copy(t, orphans, dir, "app")
	out := vmtest.Boot(t, vmtest.VM{Kernel: vmtest.RunKernel(t), Initrd: vmtest.Archive(t, dir), Append: "rambox.payload=/app"})
	vmtest.Contains(t, out, "5000 orphans", "rambox: payload /app: exit 42", "Power down")
	vmtest.Lacks(t, out, "lost status", "zombie")
}

// TestOutOfMemory lets the kernel kill the payload.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	dir := vmtest.Tree(t)
	hog := vmtest.Program(t, `
#include <stdlib.h>
#include <string.h>
int main(void) {
	for (;;) memset(malloc(1 << 20), 1, 1 << 20);
}`)
	vmtest.Copy(t, hog, dir, "app")
	out := vmtest.Boot(t, vmtest.VM{Kernel: vmtest.CloudKernel(t), Initrd: vmtest.Archive(t, dir), Memory: 128 << 20, Append: "rambox.payload=/app"})
	vmtest.Contains(t, out, "rambox: payload /app: signal 9 oom", "Power down")
	vmtest.Lacks(t, out, "Kernel panic")
}

// TestSessionAndTerminal looks at what the payload is to the kernel.
func TestSessionAndTerminal(t *testing.T) {
	t.Parallel()
	dir := vmtest.Tree(t)
	vmtest.WriteFile(t, dir, "app", 0o755, `#!/bin/sh
read -r pid name state ppid pgrp session tty rest < /proc/$$/stat
[ $pid = $session ] && [ $pid = $pgrp ] && [ $ppid = 1 ] && echo "leads its session"
[ $tty != 0 ] && echo "has a terminal"
echo "to the terminal" > /dev/tty
busybox grep -E 'SigIgn:	0000000000000000|SigBlk:	0000000000000000' /proc/self/status | busybox wc -l
echo "umask $(umask), files:" $(ls /proc/$$/fd)
`)
	out := vmtest.Boot(t, vmtest.VM{Kernel: vmtest.CloudKernel(t), Initrd: vmtest.Archive(t, dir), Append: "rambox.payload=/app"})
	vmtest.Contains(t, out, "leads its session", "has a terminal", "to the terminal", "\n2\r\n", "umask 0022, files: 0 1 10 2", "Power down")
}
