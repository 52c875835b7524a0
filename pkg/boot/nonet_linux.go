//go:build nonet

package boot

// network is nothing here: see net_linux.go for what the methods do.
type network struct{}

func (m *pid1) startNetwork()       {}
func (m *pid1) networkProbed()      {}
func (m *pid1) lookForLinks()       {}
func (m *pid1) linkAppeared(string) {}
func (m *pid1) awaitNetwork() error { return nil }
func (m *pid1) stopNetwork()        {}
func (m *pid1) leaveNetwork()       {}

func (m *pid1) announce(string, string) (wait func()) { return func() {} }

func netCommand(string, []string) (status int, ok bool) { return 0, false }

func (m *pid1) mountNFS(Root, string) error { return errNoNetwork }
