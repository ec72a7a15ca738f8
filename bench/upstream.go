package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
)

// upstreamRole is the environment variable that makes this program the upstream.
const upstreamRole = "PATGATE_BENCH_UPSTREAM"

// upstream is the API behind the gateways, in a process of its own.
type upstream struct {
	process
	addr  string
	input io.Closer
}

// startUpstream starts this program again, as the upstream.
func startUpstream(ctx context.Context) (*upstream, error) {
	return startSelf(ctx, upstreamRole+"=1")
}

// startSelf starts this program again, in the role that the environment gives
// it, and reads its address.
func startSelf(ctx context.Context, env ...string) (*upstream, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	u := &upstream{input: input}
	if err := u.launch(cmd); err != nil {
		return nil, err
	}
	addr, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		u.stop()
		return nil, fmt.Errorf("reading its address: %w", err)
	}
	u.addr = strings.TrimSpace(addr)
	return u, nil
}

func (u *upstream) stop() {
	if u != nil {
		u.input.Close()
		u.process.stop()
	}
}

// serveUpstream answers every request alike, as cheaply as can be, or says what it
// was asked, where its role is to echo. It prints its address, and ends when its
// standard input does.
func serveUpstream() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "upstream:", err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr())
	answer := answer
	if os.Getenv(upstreamRole) == echo {
		answer = new(echoes).answer
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answer(conn)
		}
	}()
	io.Copy(io.Discard, os.Stdin)
}

var (
	upstreamBody   = []byte(`{"id":42,"title":"a short text"}`)
	upstreamAnswer = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(upstreamBody), upstreamBody)
)

// answer answers requests without a body, one after the other.
func answer(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 4096)
	for n := 0; ; {
		read, err := conn.Read(buf[n:])
		if err != nil {
			return
		}
		if n += read; !bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
			continue
		}
		if _, err := conn.Write(upstreamAnswer); err != nil {
			return
		}
		n = 0
	}
}
