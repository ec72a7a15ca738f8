package freeport

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// list makes this program print addresses, until its input ends.
const list = "PATGATE_FREEPORT_LIST"

func TestMain(m *testing.M) {
	if os.Getenv(list) == "" {
		os.Exit(m.Run())
	}
	for range 100 {
		addr, err := Addr()
		if err != nil {
			os.Exit(1)
		}
		os.Stdout.WriteString(addr + "\n")
	}
	os.Stdin.Read(make([]byte, 1))
}

func TestAddr(t *testing.T) {
	seen := make(map[string]bool)
	for range 100 {
		addr := For(t)
		if seen[addr] {
			t.Errorf("%s: given twice", addr)
		}
		seen[addr] = true
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Errorf("it isn't free: %v", err)
			continue
		}
		l.Close()
	}
}

// Nobody is given a port that another process has been given.
func TestOtherProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has abstract sockets")
	}
	for addr := range ofAnother(t) {
		_, port, _ := net.SplitHostPort(addr)
		if mark, err := net.Listen("unix", "@patgate-port-"+port); err == nil {
			mark.Close()
			t.Errorf("%s: nobody is told", addr)
		}
	}
}

func ofAnother(t *testing.T) map[string]bool {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), list+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	addrs := make(map[string]bool)
	var text []byte
	for buf := make([]byte, 4096); bytes.Count(text, []byte("\n")) < 100; {
		n, err := out.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, buf[:n]...)
	}
	for addr := range strings.Lines(string(text)) {
		addrs[strings.TrimSpace(addr)] = true
	}
	return addrs
}
