//go:build linux

package kmod

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Coldplug loads the modules for the devices that are present, and for those that appear because of them, until no more
// are asked for. It looks only at the buses that the aliases of the index name. It returns the errors of the modules that
// devices asked for; that a module finds no hardware of its own (ENODEV) is none. Devices that appear later, as those of
// drivers that probe asynchronously do, announce themselves by uevent: see LoadAlias.
func (l *Loader) Coldplug(ctx context.Context) error {
	if err := unix.Stat(l.sys+"/bus", new(unix.Stat_t)); err != nil {
		return fmt.Errorf("look for devices in %s/bus: %w", l.sys, err)
	}
	s := newScanner(l.deviceDirs())
	defer s.close()
	seen := make(map[string]bool) // modaliases
	var errs []error
	for ctx.Err() == nil {
		var modules []string
		err := s.scan(func(d *deviceDir, device string) {
			modalias := s.modalias(d, device)
			if modalias == "" || seen[modalias] {
				return
			}
			seen[modalias] = true
			for _, name := range l.allowed(l.matches(modalias)) {
				if !slices.Contains(modules, name) {
					modules = append(modules, name)
				}
			}
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("look for devices: %w", err))
		}
		if len(modules) == 0 {
			return errors.Join(errs...)
		}
		for _, err := range l.load(ctx, modules) {
			if !errors.Is(err, unix.ENODEV) && !slices.Contains(errs, err) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(append(errs, fmt.Errorf("look for devices: %w", ctx.Err()))...)
}

// deviceDirs returns the directories of sysfs that can hold devices whose modaliases the aliases match.
func (l *Loader) deviceDirs() (dirs []string) {
	for _, head := range l.index.heads() {
		for _, place := range placesOf(head) {
			if dir := l.sys + "/" + place; !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

// placesOf returns where in sysfs devices are whose modaliases begin with head, as "bus/pci/devices" for "pci:". A bus
// has the name that its modaliases begin with unless told otherwise here (Linux 6.12: scripts/mod/file2alias.c and the
// uevent methods of the buses).
func placesOf(head string) (places []string) {
	var buses []string
	switch head {
	case "dmi:", "dmi":
		return []string{"class/dmi"}
	case "input:":
		return []string{"class/input"}
	case "acpi:", "acpi": // a device that ACPI describes has its modalias on whichever bus it sits
		buses = []string{"acpi", "platform", "i2c", "spi", "serial"}
	case "of:": // so has a device of a device tree
		buses = []string{"platform", "i2c", "spi", "serial", "mdio_bus", "amba", "mipi-dsi", "spmi", "slimbus", "rpmsg", "host1x", "ulpi"}
	case "apr:":
		buses = []string{"aprbus"}
	case "ieee1394:":
		buses = []string{"firewire"}
	case "mdio:":
		buses = []string{"mdio_bus"}
	case "mipscdmm:":
		buses = []string{"cdmm"}
	case "pci_epf:":
		buses = []string{"pci-epf"}
	case "sdw:":
		buses = []string{"soundwire"}
	case "slim:":
		buses = []string{"slimbus"}
	case "ssam:":
		buses = []string{"surface_aggregator"}
	case "tbsvc:":
		buses = []string{"thunderbolt"}
	case "vchiq:":
		buses = []string{"vchiq-bus"}
	default:
		if bus, ok := strings.CutSuffix(head, ":"); ok {
			buses = []string{bus}
		}
	}
	for _, bus := range buses {
		places = append(places, "bus/"+bus+"/devices")
	}
	return places
}

// Unmatched returns the modaliases of devices that have no driver and for which there is no alias, each once, sorted. It
// looks at all buses but acpi and cpu, whose devices only describe others.
func (l *Loader) Unmatched() ([]string, error) {
	buses, err := os.ReadDir(l.sys + "/bus")
	if err != nil {
		return nil, fmt.Errorf("list buses: %w", err)
	}
	var dirs []string
	for _, bus := range buses {
		if bus.Name() != "acpi" && bus.Name() != "cpu" {
			dirs = append(dirs, l.sys+"/bus/"+bus.Name()+"/devices")
		}
	}
	s := newScanner(dirs)
	defer s.close()
	var unmatched []string
	err = s.scan(func(d *deviceDir, device string) {
		modalias := s.modalias(d, device)
		if modalias != "" && s.uevent(d, device, "DRIVER") == "" && len(l.matches(modalias)) == 0 {
			unmatched = append(unmatched, modalias)
		}
	})
	slices.Sort(unmatched)
	return slices.Compact(unmatched), err
}
