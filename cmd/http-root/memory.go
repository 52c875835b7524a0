//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// An image leaves some of the free memory to the kernel and to those who run
// while it is fetched and unpacked: one part in so many, and so many bytes at
// the least.
const (
	reservePart  = 16
	reserveLeast = 16 << 20
)

// freeMemory returns how many bytes an image may take.
func freeMemory() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("free memory: %w", err)
	}
	available, err := parseMeminfo(string(text))
	return max(available-max(available/reservePart, reserveLeast), 0), err
}

// parseMeminfo returns MemAvailable of proc_meminfo(5), in bytes.
func parseMeminfo(text string) (int64, error) {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "MemAvailable:"); ok {
			number, isKB := strings.CutSuffix(strings.TrimSpace(value), " kB")
			kB, err := strconv.ParseUint(number, 10, 50)
			if !isKB || err != nil {
				return 0, fmt.Errorf("/proc/meminfo: MemAvailable is %q", strings.TrimSpace(value))
			}
			return int64(kB) << 10, nil
		}
	}
	return 0, errors.New("/proc/meminfo has no MemAvailable")
}
