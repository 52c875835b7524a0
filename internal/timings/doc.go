// Package timings makes a chart of a boot.
//
// The guest's init reports its stages, waits and modules ([ParseGuest]), the kernel's log has the kernel's own marks
// ([KernelMarks]), and the host knows when QEMU was started and when it ended ([Host]). [Merge] puts them on one axis, a
// [Timeline], which can be written as SVG, as JSON and as text. All of it is pure. What comes from a guest is not trusted.
package timings
