//go:build linux

package qemu

import (
	"io"
	"net"
	"time"
)

// consoleTail is how many bytes of the console are kept for the report of a failure.
const consoleTail = 64 << 10

// VM is a running virtual machine.
type VM struct {
	console *net.UnixConn
	ports   map[string]*net.UnixConn
	tail    *tail
	kill    func()
	began   time.Time     // QEMU was started
	exit    Exit          // valid when ended is closed
	ended   chan struct{} // QEMU has been reaped
	silent  chan struct{} // the console has been read to its end
}

func newVM(proc process, console *net.UnixConn, ports map[string]*net.UnixConn, out io.Writer) *VM {
	vm := &VM{
		console: console, ports: ports, tail: newTail(consoleTail), kill: proc.kill, began: time.Now(),
		ended: make(chan struct{}), silent: make(chan struct{}),
	}
	go func() {
		vm.exit = proc.wait()
		close(vm.ended)
	}()
	go func() {
		defer close(vm.silent)
		vm.readConsole(out)
	}()
	return vm
}

// readConsole ends when QEMU has gone and its last bytes have been read.
func (vm *VM) readConsole(out io.Writer) {
	buf := make([]byte, 16<<10)
	for {
		n, err := vm.console.Read(buf)
		_, _ = vm.tail.Write(buf[:n])
		if out != nil && n > 0 {
			if _, werr := out.Write(buf[:n]); werr != nil {
				out = nil // the guest is not to suffer from a closed log
			}
		}
		if err != nil {
			return
		}
	}
}

// ConsoleTail is the last 64 KiB that the guest wrote to its console.
func (vm *VM) ConsoleTail() string { return vm.tail.String() }

// ConsoleInput types p on the guest's console.
func (vm *VM) ConsoleInput(p []byte) (int, error) { return vm.console.Write(p) }

// Port is the host's end of the virtio-serial port of that name. Its CloseWrite is the guest's end of file.
func (vm *VM) Port(name string) (*net.UnixConn, bool) {
	conn, ok := vm.ports[name]
	return conn, ok
}

// Ended is closed when QEMU has ended. Its sockets may still hold bytes that it wrote before.
func (vm *VM) Ended() <-chan struct{} { return vm.ended }

// Wait returns how QEMU ended, when it has and when the console has been read to its end.
// What it left in the ports' sockets can still be read.
func (vm *VM) Wait() Exit {
	<-vm.ended
	<-vm.silent
	return vm.exit
}

// Kill ends QEMU now. It does not wait.
func (vm *VM) Kill() { vm.kill() }

// Close kills QEMU, waits until it is gone (5 s at most: it may hang in the host's kernel) and closes the console and the ports.
// A Write to Options.Console that is still under way is not waited for; Wait does that.
func (vm *VM) Close() {
	vm.kill()
	select {
	case <-vm.ended:
	case <-time.After(5 * time.Second):
	}
	vm.console.Close()
	for _, p := range vm.ports {
		p.Close()
	}
}
