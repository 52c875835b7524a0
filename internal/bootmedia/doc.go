// Package bootmedia writes what firmware boots: unified kernel images, and CD
// images that boot by BIOS and by UEFI, from a drive and from a USB stick.
//
// Everything is written by this package itself, because a kernel and its
// initramfs are in a CD image only once: the file systems of both kinds of
// firmware, ISO 9660 and FAT, point to the same bytes. What is layout is pure;
// only Write reads the files. The same inputs give the same bytes.
//
// The boot loaders are the host's: ISOLINUX for BIOS, systemd-boot and its
// stub for UEFI. See Find.
package bootmedia
