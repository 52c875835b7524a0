// Package kernel holds the configuration fragments and profiles from which
// Rambox builds kernels. Package internal/kernels reads and merges them.
//
// A fragment, NAME.config, is a piece of a kernel's .config about one topic.
// The kernel is configured from nothing (allnoconfig), so a fragment says only
// what it wants: a symbol that no fragment names is off. Each wanted symbol must
// end up as the fragment says, unless the line before it is
//
//	# optional: since 6.8
//
// and the source does not have the symbol, or does not let it be chosen.
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
//
// The patches of patches/*.patch go over Debian's source. Each depends on a symbol
// and changes no other kernel, and a source that one does not fit goes without it.
package kernel

import "embed"

// FS holds *.config, profiles/* and patches/*.
//
//go:embed *.config profiles/* patches/*
var FS embed.FS
