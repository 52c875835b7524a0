// Package kernel holds the configuration fragments and profiles from which
// Rambox builds kernels. Package internal/kernels reads and merges them.
//
// A fragment, NAME.config, is a piece of a kernel's .config about one topic.
// The kernel is configured from nothing (allnoconfig), so a fragment says only
// what it wants: a symbol that no fragment names is off.
//
// A profile, profiles/NAME, lists fragments. Its lines are
//
//	# what the profile is for
//	for amd64 arm64     the architectures (GOARCH names) it can be built for
//	base                a fragment
//	amd64: x86          fragments for one architecture only
//
// The fragments of a profile do not contradict each other, so their order means
// nothing: what differs between profiles is in a fragment of its own (size,
// speed). Only the fragments that a user adds may override.
package kernel

import "embed"

// FS holds *.config and profiles/*.
//
//go:embed *.config profiles/*
var FS embed.FS
