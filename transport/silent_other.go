//go:build !unix

package transport

// supported says that silent works here.
const supported = false

func silent(uintptr) bool { return false }
