// Package freeport finds addresses for the servers that tests and benchmarks
// start.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
)

// The ports that are given are below those that outgoing connections get, so that
// a server that is killed finds its own still free when it is started again.
const from, to, tries = 15_000, 32_000, 10_000

var (
	mu    sync.Mutex
	taken = make(map[int]net.Listener) // with what tells other processes
)

// Addr returns an address of 127.0.0.1 that nobody listens on, and never the same
// again as long as this process lives, nor to another that asks here. That nobody
// listens at the moment isn't enough: Caddy lets several processes listen on one
// port, so that two gateways would share what comes there, without an error.
func Addr() (string, error) {
	mu.Lock()
	defer mu.Unlock()
	for range tries {
		port := from + rand.IntN(to-from)
		if _, is := taken[port]; is {
			continue
		}
		mark, err := reserve(port)
		if err != nil {
			continue
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			if mark != nil {
				mark.Close()
			}
			continue
		}
		l.Close()
		taken[port] = mark
		return addr, nil
	}
	return "", errors.New("finding a free port: none in many tries")
}

// reserve tells other processes that a port is taken, by listening on an abstract
// socket (unix(7)) of its name, which goes with the process. Elsewhere than on Linux
// there are none, and nobody is told.
func reserve(port int) (net.Listener, error) {
	if runtime.GOOS != "linux" {
		return nil, nil
	}
	return net.Listen("unix", fmt.Sprintf("@patgate-port-%d", port))
}

// For is Addr for a test.
func For(t interface {
	Helper()
	Fatal(args ...any)
}) string {
	t.Helper()
	addr, err := Addr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}
