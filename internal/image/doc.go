// Package image makes initramfs images and reads them back.
//
// [Assemble] turns a [Spec] into a [Tree], a file tree in memory, and
// [Tree.Write] turns that into a newc archive, compressed or not. The same
// inputs give the same bytes, whoever builds, wherever and whenever: entries
// are sorted, inodes are numbered in that order, owners are 0 and times are
// the epoch of the Spec. Nothing needs root: device nodes are plain records.
//
// [Read] takes any image that the kernel would take, several archives one
// after another among them, and lists it; [Image.Files] gives its files as an
// [fs.FS]. It is made for images from anywhere: memory is bounded whatever the
// bytes say.
package image
