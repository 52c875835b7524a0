//go:build linux

package vmtest

import (
	"flag"
	"runtime"
	"strconv"
)

// Parallel lets so many parallel tests for each CPU run at a time, unless
// -parallel says otherwise. It is for the TestMain of a package whose tests wait
// for most of their time.
func Parallel(perCPU int) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if asked {
		return
	}
	// It takes any positive number.
	_ = flag.Set("test.parallel", strconv.Itoa(perCPU*runtime.GOMAXPROCS(0)))
}
