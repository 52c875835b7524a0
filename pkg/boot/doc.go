// Package boot is what PID 1 does between the kernel's "Run /init" and the
// program that the machine was started for.
//
// It works in three steps. [ReadImage] looks at the initramfs, [NewPlan]
// combines that with the kernel's command line into a [Plan], and running the
// plan carries it out. The first two touch nothing: a host tool calls them to
// explain what a machine would do.
//
// [Command] is the whole of it: the entry point of /init and of its other
// names poweroff, reboot and halt.
//
// As PID 1 the package holds to three rules. It never returns, it never
// panics the kernel, and every wait ends: in the event that it waits for, in a
// request to power off, or at a deadline.
package boot
