package image

import (
	"io/fs"
	"maps"
	"slices"
	"strings"

	"rambox/pkg/cmdline"
)

// Names that stand for sets of modules in Spec.Modules.
const (
	SetQEMU = "qemu" // what the machines of QEMU have, virtio first
	SetHost = "host" // what the devices of this machine ask for
	SetAll  = "all"  // every module of the kernel
	SetNone = "none" // no module at all, not even those that the command line needs
)

// Devices are the parts of a virtual machine that need a driver.
type Devices struct {
	MMIO   bool // virtio devices sit on virtio-mmio, as in microvm, not on PCI
	Ports  bool // virtio-serial ports or a virtio console
	Disks  bool // virtio-blk
	SCSI   bool // virtio-scsi disks and CD-ROMs
	Net    bool // virtio-net
	Plan9  bool // a directory shared by 9p
	FS     bool // a directory shared by virtiofs
	Vsock  bool
	Random bool // virtio-rng
}

// Modules returns the lean set for a machine that has these devices and no
// others, for Spec.OptionalModules: a kernel may have any of them built in.
func (d Devices) Modules() []string {
	bus := "virtio_pci"
	if d.MMIO {
		bus = "virtio_mmio"
	}
	names := []string{bus}
	for _, part := range [...]struct {
		has     bool
		modules []string
	}{
		{d.Ports, []string{"virtio_console"}},
		{d.Disks, []string{"virtio_blk"}},
		{d.SCSI, []string{"virtio_scsi", "sd_mod", "sr_mod"}},
		{d.Net, []string{"virtio_net", "af_packet"}},
		{d.Plan9, []string{"9p", "9pnet_virtio"}},
		{d.FS, []string{"virtiofs"}},
		{d.Vsock, []string{"vmw_vsock_virtio_transport"}},
		{d.Random, []string{"virtio_rng"}},
	} {
		if part.has {
			names = append(names, part.modules...)
		}
	}
	return names
}

// qemuModules is the set for a machine of QEMU that nobody has described yet:
// the virtio devices, and the disks and network cards that its machine types
// have when nothing is said.
func qemuModules() []string {
	all := Devices{Ports: true, Disks: true, SCSI: true, Net: true, Plan9: true, FS: true, Vsock: true, Random: true}
	return append(all.Modules(), "virtio_mmio", "virtio_balloon",
		"ata_piix", "ahci", "nvme", "e1000", "e1000e")
}

// hostAliases returns the modaliases of the devices below sys, the root of a
// sysfs, each once and sorted. Devices that vanish meanwhile are left out.
func hostAliases(sys fs.FS) ([]string, error) {
	seen := map[string]bool{}
	err := fs.WalkDir(sys, "devices", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			if name == "devices" {
				return err
			}
			return nil
		}
		if d.Name() != "modalias" || !d.Type().IsRegular() {
			return nil
		}
		if alias, err := fs.ReadFile(sys, name); err == nil && len(alias) > 0 {
			seen[strings.TrimSpace(string(alias))] = true
		}
		return nil
	})
	return slices.Sorted(maps.Keys(seen)), err
}

// lineModules returns what a command line needs: explicit by name, and others
// that may be built in, or be one of several that could do.
func lineModules(args cmdline.Args) (explicit, optional []string) {
	for _, name := range [...]string{"modules_load", "rd.modules_load", "rd.driver.pre"} {
		for _, list := range args.Values(name) {
			explicit = append(explicit, splitList(list)...)
		}
	}
	if args.Has("ip") || args.Has("nfsaddrs") {
		optional = append(optional, "af_packet")
	}
	if args.Has("vlan") {
		optional = append(optional, "8021q")
	}
	if args.Has("rambox.overlay") {
		optional = append(optional, "fs-overlay")
	}
	if root, ok := args.Value("root"); ok {
		types, _ := args.Value("rootfstype")
		optional = append(optional, rootModules(root, splitList(types))...)
	}
	return explicit, optional
}

// rootModules returns the aliases of the file systems that a root may have.
// The block or network device itself is the machine's matter, not the line's.
func rootModules(root string, types []string) []string {
	scheme, _, _ := strings.Cut(root, ":")
	switch {
	case scheme == "virtiofs":
		return []string{"fs-virtiofs"}
	case scheme == "9p":
		return []string{"fs-9p", "9pnet_virtio"}
	case scheme == "nfs" || scheme == "nfs4" || root == "/dev/nfs":
		return []string{"nfs", "nfsv3", "nfsv4", "af_packet"}
	case scheme == "http" || scheme == "https":
		return []string{"loop", "fs-squashfs", "fs-erofs", "fs-ext4", "fs-overlay", "af_packet"}
	}
	if len(types) == 0 || len(types) == 1 && types[0] == "auto" {
		types = []string{"ext4", "xfs", "btrfs", "f2fs", "squashfs", "erofs"}
	}
	var names []string
	for _, t := range types {
		switch t {
		case "auto":
			continue
		case "vfat", "msdos": // the kernel asks user space for the code pages
			names = append(names, "nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8")
		}
		names = append(names, "fs-"+t)
	}
	return names
}

func splitList(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}
