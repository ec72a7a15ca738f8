//go:build !linux

package embedded

import (
	"os"
	"time"
)

// settle does nothing: other systems can't be told to forget cached pages.
func settle(*os.File, time.Duration) error { return nil }
