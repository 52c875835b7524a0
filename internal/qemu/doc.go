// Package qemu runs a guest in QEMU and brings back how it ended.
//
// Three layers: [Machine] is a plain value that becomes an argument vector ([Machine.Args], pure); [Start] runs it,
// with its console, its virtio-serial ports and its in-memory initramfs handed over as inherited descriptors, so that nothing is
// left behind on the file system; [Run] speaks the status protocol of Rambox's init on top of it and turns what the guest did into a [Result].
// [ChooseAccel] proves that KVM works before it is used.
package qemu
