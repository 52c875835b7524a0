// Command rambox builds images around Rambox's init, boots them in QEMU, and
// explains what they will do.
package main

import (
	"context"
	"fmt"
	"os"

	"rambox/internal/qemu"
)

func main() {
	if os.Args[0] == guardName {
		os.Exit(guardTerminal())
	}
	if os.Args[0] == qemu.ShareName {
		fmt.Fprintln(os.Stderr, qemu.ExecShare(os.Args[1:])) // it returns only with an error
		os.Exit(1)
	}
	os.Exit(execute(context.Background(), os.Args[1:]))
}
