package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// load sends requests over a number of connections, each as soon as the one
// before is answered. It does as little as it can: the gateway is to be the one
// that has to work.
type load struct {
	conns    []net.Conn
	counts   []counter
	times    []latencies // by connection, as counts
	requests [][]byte
	status   string // of every answer
	stopping atomic.Bool
	running  sync.WaitGroup
	unwatch  func() bool

	fail   sync.Once
	failed chan struct{} // closed with the first failure
	err    error         // which it is
}

// counter counts the answers of one connection.
type counter struct {
	atomic.Uint64
	_ [56]byte // so that no two share a cache line
}

// startLoad begins to send requests: each connection all of them, over and over,
// from another one on.
func startLoad(ctx context.Context, addr string, connections int, requests [][]byte, status int) (*load, error) {
	l := &load{counts: make([]counter, connections), times: make([]latencies, connections), requests: requests, status: strconv.Itoa(status), failed: make(chan struct{})}
	for range connections {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			l.close()
			return nil, err
		}
		l.conns = append(l.conns, conn)
	}
	l.unwatch = context.AfterFunc(ctx, l.close)
	for i, conn := range l.conns {
		l.running.Go(func() {
			if err := l.send(conn, i*len(requests)/connections, &l.counts[i], &l.times[i]); err != nil && !l.stopping.Load() {
				l.fail.Do(func() {
					l.err = err
					close(l.failed)
				})
			}
		})
	}
	return l, nil
}

// wait waits for a time, and reports whether nothing has failed.
func (l *load) wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-l.failed:
	}
	return false
}

// measure waits for a time, and on, but not for ever, until more than n requests
// have been answered: on a busy machine the first answer may take longer.
func (l *load) measure(ctx context.Context, d time.Duration, n uint64) {
	const patience = 300
	l.wait(ctx, d)
	for i := 0; i < patience && l.answered() <= n && l.wait(ctx, 100*time.Millisecond); i++ {
	}
}

// answered returns how many requests have been answered.
func (l *load) answered() (n uint64) {
	for i := range l.counts {
		n += l.counts[i].Load()
	}
	return n
}

// stop stops sending and returns the first failure. It may be called again.
func (l *load) stop() error {
	l.unwatch()
	if !l.stopping.Swap(true) {
		for _, conn := range l.conns {
			conn.SetReadDeadline(time.Now().Add(5 * time.Second)) // for the last answer
		}
	}
	l.running.Wait()
	l.close()
	return l.err
}

func (l *load) close() {
	for _, conn := range l.conns {
		conn.Close()
	}
}

// send sends requests over one connection, from the n-th on.
func (l *load) send(conn net.Conn, n int, answered *counter, times *latencies) error {
	buf := make([]byte, 4096)
	for ; !l.stopping.Load(); n++ {
		began := time.Now()
		answer, err := exchange(conn, l.requests[n%len(l.requests)], buf)
		if err != nil {
			return err
		}
		if !hasStatus(answer, l.status) {
			return fmt.Errorf("want status %s, got: %s", l.status, answer)
		}
		times.add(time.Since(began))
		answered.Add(1)
	}
	return nil
}

const version = "HTTP/1.1 "

var (
	endOfHeader   = []byte("\r\n\r\n")
	contentLength = []byte("\r\nContent-Length: ")
)

// exchange sends a request and returns its answer, which is in buf; with an error,
// as much of it as has come.
func exchange(conn net.Conn, request, buf []byte) ([]byte, error) {
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	return readAnswer(conn, buf)
}

// hasStatus reports whether an answer has this status, and is the upstream's if
// and only if that is 200.
func hasStatus(answer []byte, status string) bool {
	forwarded := bytes.HasSuffix(answer, upstreamBody)
	return string(answer[len(version):][:3]) == status && forwarded == (status == "200")
}

// readAnswer reads an answer that has a Content-Length and fits into buf.
func readAnswer(conn net.Conn, buf []byte) ([]byte, error) {
	n, want := 0, 0 // bytes read and expected; 0: not known yet
	for want == 0 || n < want {
		read, err := conn.Read(buf[n:])
		if err != nil {
			return buf[:n], fmt.Errorf("reading an answer: %w", err)
		}
		n += read
		if want == 0 {
			if want, err = lengthOf(buf[:n]); err != nil {
				return buf[:n], err
			}
		}
	}
	if n > want {
		return buf[:n], fmt.Errorf("%d bytes follow an answer", n-want)
	}
	return buf[:n], nil
}

// lengthOf returns the length of the answer that begins here, 0 if its header is
// not complete yet.
func lengthOf(answer []byte) (int, error) {
	end := bytes.Index(answer, endOfHeader)
	if end < 0 {
		return 0, nil
	}
	i := bytes.Index(answer[:end], contentLength)
	if i < 0 || !bytes.HasPrefix(answer, []byte(version)) {
		return 0, fmt.Errorf("an answer without Content-Length: %q", answer[:end])
	}
	value, _, _ := bytes.Cut(answer[i+len(contentLength):end], []byte("\r\n"))
	length, err := strconv.Atoi(string(value))
	if err != nil {
		return 0, fmt.Errorf("reading Content-Length: %w", err)
	}
	return end + len(endOfHeader) + length, nil
}
