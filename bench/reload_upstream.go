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

// echo is the role of an upstream whose answers differ: each says what was asked
// for, and by whom, as far as the gateway tells.
const echo = "echo"

// Targets that an upstream that echoes minds.
const (
	slowly       = "?slowly"   // ends those that are answered in two halves
	countAnswers = "/answered" // asks how many requests were answered
)

// slowness is how long the second half keeps waiting: a reload comes between.
const slowness = 700 * time.Millisecond

// echoes is the upstream that echoes.
type echoes struct{ answered atomic.Int64 }

// answer answers requests without a body, one after the other.
func (e *echoes) answer(conn net.Conn) {
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
		target, body := e.echo(buf[:n])
		n = 0
		answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		if strings.HasSuffix(target, slowly) {
			half := len(answer) - len(body)/2
			if _, err := conn.Write(answer[:half]); err != nil {
				return
			}
			time.Sleep(slowness)
			answer = answer[half:]
		}
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}

// echo returns what is asked for, and what is answered.
func (e *echoes) echo(request []byte) (target, body string) {
	line, header, _ := strings.Cut(string(request), "\r\n")
	_, line, _ = strings.Cut(line, " ")
	target, _, _ = strings.Cut(line, " ")
	if target == countAnswers {
		return target, strconv.FormatInt(e.answered.Load(), 10)
	}
	e.answered.Add(1)
	_, owner, _ := strings.Cut(header, "X-Patgate-Owner: ")
	owner, _, _ = strings.Cut(owner, "\r\n")
	return target, target + " " + owner
}

// answersOf asks an upstream that echoes how many requests it has answered.
func answersOf(u *upstream) (int, error) {
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
