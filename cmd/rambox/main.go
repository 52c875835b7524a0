// Command rambox builds images around Rambox's init, boots them in QEMU, and
// explains what they will do.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(execute(context.Background(), os.Args[1:]))
}
