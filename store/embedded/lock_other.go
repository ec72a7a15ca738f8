//go:build !linux

package embedded

import (
	"os"
	"time"
)

// lockUncached does nothing: bbolt locks the file, and other systems can't be told to forget
// the pages that they have cached.
func lockUncached(*os.File, time.Duration) error { return nil }
