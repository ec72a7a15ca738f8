//go:build !linux

package embedded

import (
	"os"
	"time"
)

// settle leaves the file as it is: other systems can't be told to forget it.
func settle(*os.File, time.Duration) error { return nil }
