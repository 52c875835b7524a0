//go:build linux

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// digest is a SHA-256.
type digest [sha256.Size]byte

// parseDigest reads "sha256:" and 64 hexadecimal digits.
func parseDigest(text string) (d digest, err error) {
	digits, ok := strings.CutPrefix(text, "sha256:")
	if b, err := hex.DecodeString(digits); ok && err == nil && len(b) == len(d) {
		return digest(b), nil
	}
	return d, fmt.Errorf("rambox.digest=%s: want sha256: and 64 hexadecimal digits", text)
}

// String returns the form that parseDigest reads.
func (d digest) String() string {
	return "sha256:" + hex.EncodeToString(d[:])
}
