package main

import (
	"bytes"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

var (
	upstreamBody   = []byte(`{"id":42,"title":"a short text"}`)
	upstreamAnswer = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(upstreamBody), upstreamBody)
)

// serveUpstream is the API behind the gateways: it answers every request alike, as
// cheaply as can be.
func serveUpstream(l net.Listener, _ []string) {
	serve(l, func(conn net.Conn, _ []byte) error {
		_, err := conn.Write(upstreamAnswer)
		return err
	})
}

// serve answers requests without a body, those of a connection one after the other.
func serve(l net.Listener, answer func(conn net.Conn, request []byte) error) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			buf := make([]byte, 4096)
			for n := 0; ; {
				read, err := conn.Read(buf[n:])
				if err != nil {
					return
				}
				if n += read; !bytes.HasSuffix(buf[:n], endOfHeader) {
					continue
				}
				if err := answer(conn, buf[:n]); err != nil {
					return
				}
				n = 0
			}
		}()
	}
}

// Targets that an upstream that echoes minds.
const (
	slowly       = "?slowly"   // ends those that are answered in two halves
	countAnswers = "/answered" // asks how many requests were answered
)

// slowness is how long the second half keeps waiting: a reload comes between.
const slowness = 700 * time.Millisecond

// serveEcho is an API whose answers differ: each says what was asked for, and by
// whom, as far as the gateway tells.
func serveEcho(l net.Listener, _ []string) {
	var answered atomic.Int64
	serve(l, func(conn net.Conn, request []byte) error {
		line, header, _ := strings.Cut(string(request), "\r\n")
		target := strings.Fields(line)[1]
		_, owner, _ := strings.Cut(header, "X-Patgate-Owner: ")
		owner, _, _ = strings.Cut(owner, "\r\n")
		body := target + " " + owner
		if target == countAnswers {
			body = strconv.FormatInt(answered.Load(), 10)
		} else {
			answered.Add(1)
		}
		answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if strings.HasSuffix(target, slowly) {
			half := len(answer) - len(body)/2
			if _, err := conn.Write(answer[:half]); err != nil {
				return err
			}
			time.Sleep(slowness)
			answer = answer[half:]
		}
		_, err := conn.Write(answer)
		return err
	})
}

// answersOf asks an upstream that echoes how many requests it has answered.
func answersOf(u *service) (int, error) {
	conn, err := net.Dial("tcp", u.addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	answer, err := exchange(conn, []byte("GET "+countAnswers+" HTTP/1.1\r\n\r\n"), make([]byte, 4096))
	if err != nil {
		return 0, err
	}
	_, body, _ := bytes.Cut(answer, endOfHeader)
	return strconv.Atoi(string(body))
}
