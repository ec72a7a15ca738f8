package embedded

import (
	"fmt"
	"os"
	"syscall"
	"time"

	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"
)

// lockUncached waits for the lock of the file, as bbolt would, and then makes the kernel
// forget the pages it has cached, so that what is read from now on is what is on disk. After
// the disk has failed, these differ: see Store.fails.
func lockUncached(f *os.File, lockTimeout time.Duration) error {
	fd := int(f.Fd())
	for end := time.Now().Add(lockTimeout); ; time.Sleep(10 * time.Millisecond) {
		err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if err != syscall.EWOULDBLOCK {
			return fmt.Errorf("it can't be locked: %w; keep it on a disk of this machine, or mount its file system with locks", err)
		}
		if time.Now().After(end) {
			return bolterrors.ErrTimeout
		}
	}
	f.Sync() // only clean pages are forgotten
	unix.Fadvise(fd, 0, 0, unix.FADV_DONTNEED)
	return nil
}
