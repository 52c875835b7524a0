//go:build !nonet

package boot

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// netCapabilities are those that the network's process keeps: to configure
// links, to send packets without an address, and to send from port 68.
const netCapabilities = 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_NET_BIND_SERVICE

// dropPrivileges gives up what the network's process does not need, on all of
// its threads: every other capability; gaining any by an exec; and by seccomp
// running programs, tracing, and signals to other processes, PID 1 among them.
// A kernel without seccomp is no error.
func dropPrivileges() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{{Effective: netCapabilities, Permitted: netCapabilities}}
	if _, _, err := syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0); err != 0 {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	if _, _, err := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); err != 0 {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	filter := netFilter(uint32(os.Getpid()))
	if filter == nil {
		return nil
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, err := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if err != 0 && err != unix.ENOSYS && err != unix.EINVAL {
		return fmt.Errorf("set a seccomp filter: %w", err)
	}
	return nil
}

// auditArch is this machine's number in struct seccomp_data, 0 if unknown.
func auditArch() uint32 {
	switch runtime.GOARCH {
	case "amd64":
		return unix.AUDIT_ARCH_X86_64
	case "386":
		return unix.AUDIT_ARCH_I386
	case "arm64":
		return unix.AUDIT_ARCH_AARCH64
	case "arm":
		return unix.AUDIT_ARCH_ARM
	case "riscv64":
		return unix.AUDIT_ARCH_RISCV64
	}
	return 0
}

// netFilter refuses the calls that dropPrivileges names (struct seccomp_data,
// seccomp(2)); nil on an architecture that it does not know. The runtime needs
// tgkill for its own threads.
func netFilter(pid uint32) []unix.SockFilter {
	const (
		ld   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		jeq  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		jge  = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		ret  = unix.BPF_RET | unix.BPF_K
		x32  = 0x40000000 // the bit of x32's numbers; no other has one so large
		nr   = 0
		arch = 4
		arg0 = 16 // its low half: all these machines are little-endian
	)
	refused := [...]uint32{
		unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_WRITEV,
		unix.SYS_KILL, unix.SYS_TKILL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_PIDFD_SEND_SIGNAL,
	}
	if auditArch() == 0 {
		return nil
	}
	const tail = 4 // tgkill's two tests, allow; then refuse
	n := uint8(len(refused))
	filter := []unix.SockFilter{
		{Code: ld, K: arch},
		{Code: jeq, K: auditArch(), Jf: n + 2 + tail},
		{Code: ld, K: nr},
		{Code: jge, K: x32, Jt: n + tail},
	}
	for i, call := range refused {
		filter = append(filter, unix.SockFilter{Code: jeq, K: call, Jt: n - uint8(i) - 1 + tail})
	}
	return append(filter,
		unix.SockFilter{Code: jeq, K: unix.SYS_TGKILL, Jf: 2},
		unix.SockFilter{Code: ld, K: arg0},
		unix.SockFilter{Code: jeq, K: pid, Jf: 1},
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
	)
}
