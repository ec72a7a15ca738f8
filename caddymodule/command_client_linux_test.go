package caddymodule

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A machine that is down answers nothing, not even that nobody listens. Linux is as silent
// about a connection for which a listener has no room.
func TestSilentAddress(t *testing.T) {
	before := dialTime
	dialTime = 10 * time.Millisecond
	defer func() { dialTime = before }()
	listener, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(listener)
	if err := syscall.Bind(listener, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(listener, 0); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(listener)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprint("127.0.0.1:", at.(*syscall.SockaddrInet4).Port)
	for {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			break // it is full
		}
		defer conn.Close()
	}
	_, stderr, err := told(t, "", "status", "--address", address)
	if want := "no server answers at " + address + " (i/o timeout): is patgate running?"; err == nil || !strings.Contains(stderr, want) {
		t.Errorf("it says %q and ends with %v, want %q", stderr, err, want)
	}
}
