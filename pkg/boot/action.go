package boot

// Action is how a machine ends, or what it does instead of ending.
type Action string

const (
	PowerOff Action = "poweroff"
	Reboot   Action = "reboot"
	Halt     Action = "halt"
	Shell    Action = "shell" // only where a policy asks what to do next
)
