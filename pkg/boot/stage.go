//go:build linux

package boot

import (
	"fmt"
	"os"
	"slices"
)

// passed is called when a stage is over: the image's hooks for it run, and
// then a person gets a shell who has asked for one here. A power request ends
// both.
func (m *pid1) passed(stage string) error {
	if m.hooks {
		m.runHooks(stage)
	}
	if !slices.Contains(m.plan.Breaks, stage) {
		return nil
	}
	m.everyConsole(fmt.Sprintf("\n--- rambox: stopped after the stage %q (rambox.break=) ---\nLeave the shell (exit) to go on.\n", stage))
	return m.runShell()
}

// hasHooks tells whether the image has any hook.
func hasHooks() bool {
	_, err := os.Stat(hookDir)
	return err == nil
}
