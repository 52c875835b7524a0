package qemu

import (
	"fmt"
	"regexp"
)

// advised are complaints of QEMU to which more can be said than QEMU does. An operand that it names fills the %s.
var advised = [...]struct {
	complaint *regexp.Regexp
	advice    string
}{
	// raw_check_perm, block/file-posix.c (v7.2)
	{regexp.MustCompile(`Failed to get (?:shared )?"[^"]*" lock\s+Is another process using the image \[(.*)\]\?`),
		"disk %s is in use by another QEMU: end that one, or give it to both with ,ro"},
	// ram_block_add, softmmu/physmem.c (v7.2)
	{regexp.MustCompile(`cannot set up guest memory '(.*)': Cannot allocate memory`),
		"the host has not enough memory for the guest's %s: give it less with --memory"},
}

// advise is the line for a person about what QEMU wrote to standard error; "" when there is nothing better than that.
func advise(stderr string) string {
	for _, a := range advised {
		if m := a.complaint.FindStringSubmatch(stderr); m != nil {
			return fmt.Sprintf(a.advice, m[1])
		}
	}
	return ""
}
