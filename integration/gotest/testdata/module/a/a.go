// Package a has half of its statements tested.
package a

// Twice is tested.
func Twice(n int) int { return 2 * n }

// Thrice is not.
func Thrice(n int) int { return 3 * n }
