//go:build linux && nodisk

package boot

import "errors"

// disks is nothing in this build: see disks.go for what the methods do.
type disks struct{}

var errNoDisk = errors.New("this init was built without block devices (nodisk)")

func (m *pid1) findDevice(Root) (string, error) { return "", errNoDisk }

func (m *pid1) typeOf(string) ([]string, error) { return nil, nil }

func (m *pid1) blockDevices() []string { return []string{errNoDisk.Error()} }
