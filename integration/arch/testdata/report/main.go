// Command report copies its standard input to its standard output, says on its
// standard error what machine it runs on, and exits with the status in its
// first argument. It is built for each architecture, so it imports little.
package main

import (
	"io"
	"os"
	"strconv"
	"syscall"
	"time"
)

func main() {
	status, err := strconv.Atoi(os.Args[1])
	if err == nil {
		_, err = io.Copy(os.Stdout, os.Stdin)
	}
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(99)
	}
	var name syscall.Utsname
	syscall.Uname(&name)
	machine := make([]byte, 0, len(name.Machine))
	for _, c := range name.Machine {
		if c == 0 {
			break
		}
		machine = append(machine, byte(c))
	}
	os.Stderr.WriteString("machine " + string(machine) + "\n")
	time.Sleep(time.Millisecond) // where time has 32 bits, a kernel may not know how
	for _, file := range []string{"/proc/modules", "/run/net-eth0.conf"} {
		text, _ := os.ReadFile(file) // may not be there
		os.Stderr.Write(text)
	}
	os.Exit(status)
}
