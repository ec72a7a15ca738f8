// Package output keeps what a process writes, for tests and benchmarks to read.
package output

import (
	"bytes"
	"sync"
)

// Buffer is a bytes.Buffer that can be read while a process writes to it. The
// zero Buffer is empty.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends to what is kept. It never fails.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String returns what has been written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
