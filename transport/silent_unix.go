//go:build unix && !aix

package transport

import "syscall"

// supported says that silent works here.
const supported = true

// silent reports whether there is nothing to read from an open connection.
func silent(fd uintptr) bool {
	var b [1]byte
	_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err == syscall.EAGAIN || err == syscall.EWOULDBLOCK
}
