//go:build !unix || aix

package transport

// supported says that silent works here.
const supported = false

func silent(uintptr) bool { return false }
