//go:build linux && small

package netboot_test

import (
	"testing"

	"rambox/internal/kernels"
)

// TestNodeKernel does the same as TestNode with our kernel for PCs, and a PC's
// card: what its ROM is made of is Intel's, too.
func TestNodeKernel(t *testing.T) {
	k, err := kernels.Build(t.Context(), kernels.BuildOptions{Profile: "node", Arch: "amd64", Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	for _, card := range []string{"e1000", "e1000e"} {
		t.Run(card, func(t *testing.T) { testNode(t, k, card) })
	}
}
