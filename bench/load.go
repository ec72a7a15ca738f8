package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// connections are connections that are closed together, at the latest when their
// context ends.
type connections struct {
	list    []net.Conn
	unwatch func() bool
}

func dial(ctx context.Context, addr string, n int) (*connections, error) {
	c := new(connections)
	for range n {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			c.closeAll()
			return nil, err
		}
		c.list = append(c.list, conn)
	}
	c.unwatch = context.AfterFunc(ctx, c.closeAll)
	return c, nil
}

// each calls f for all connections at the same time.
func (c *connections) each(f func(i int, conn net.Conn) error) error {
	var running sync.WaitGroup
	errs := make([]error, len(c.list))
	for i, conn := range c.list {
		running.Go(func() { errs[i] = f(i, conn) })
	}
	running.Wait()
	return errors.Join(errs...)
}

func (c *connections) close() {
	c.unwatch()
	c.closeAll()
}

func (c *connections) closeAll() {
	for _, conn := range c.list {
		conn.Close()
	}
}

// load sends requests over a number of connections, each as soon as the one
// before is answered. It does as little as it can: the gateway is to be the one
// that has to work.
type load struct {
	conns    *connections
	times    []latencies // of the answers, by connection
	requests [][]byte
	status   string // of every answer
	stopping atomic.Bool
	running  sync.WaitGroup
	ctx      context.Context // ends with the first failure
	fail     context.CancelCauseFunc
	err      error // set by stop
}

// startLoad begins to send requests: each connection all of them, over and over,
// from another one on.
func startLoad(ctx context.Context, addr string, connections int, requests [][]byte, status int) (*load, error) {
	l := &load{times: make([]latencies, connections), requests: requests, status: strconv.Itoa(status)}
	l.ctx, l.fail = context.WithCancelCause(ctx)
	var err error
	if l.conns, err = dial(l.ctx, addr, connections); err != nil {
		l.fail(err)
		return nil, err
	}
	for i, conn := range l.conns.list {
		l.running.Go(func() {
			if err := l.send(conn, i*len(requests)/connections, &l.times[i]); err != nil && !l.stopping.Load() {
				l.fail(err)
			}
		})
	}
	return l, nil
}

// wait waits for a time, and reports whether nothing has failed.
func (l *load) wait(d time.Duration) bool { return sleep(l.ctx, d) == nil }

// stop stops sending and returns the first failure. It may be called again.
func (l *load) stop() error {
	if !l.stopping.Swap(true) {
		for _, conn := range l.conns.list {
			conn.SetReadDeadline(time.Now().Add(time.Minute)) // for the last answer
		}
		l.running.Wait()
		l.conns.close()
		l.err = context.Cause(l.ctx)
		l.fail(nil)
	}
	return l.err
}

// send sends requests over one connection, from the n-th on.
func (l *load) send(conn net.Conn, n int, times *latencies) error {
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
	}
	return nil
}

// pass is all requests, each once.
type pass struct {
	took  time.Duration   // from the first request to the last answer
	times []time.Duration // from each request to its answer, the shortest first
}

// once sends each request once, over a number of connections at the same time,
// and checks each answer.
func once(ctx context.Context, addr string, connections int, requests [][]byte, check func(i int, answer []byte) error) (p pass, err error) {
	conns, err := dial(ctx, addr, min(len(requests), connections))
	if err != nil {
		return p, err
	}
	defer conns.close()
	p.times = make([]time.Duration, len(requests))
	began := time.Now()
	err = conns.each(func(c int, conn net.Conn) error {
		buf := make([]byte, 4096)
		for i := c; i < len(requests); i += len(conns.list) {
			sent := time.Now()
			answer, err := exchange(conn, requests[i], buf)
			p.times[i] = time.Since(sent)
			if err == nil {
				err = check(i, answer)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	p.took = time.Since(began)
	slices.Sort(p.times)
	return p, err
}

// served returns an error for any answer but the upstream's.
func served(_ int, answer []byte) error {
	if !hasStatus(answer, "200") {
		return fmt.Errorf("want status 200, got: %s", answer)
	}
	return nil
}

// use sends each request once: then all tokens are held.
func (g *gateway) use(ctx context.Context, requests [][]byte) error {
	progress("using every token")
	if _, err := once(ctx, g.addr, 8, requests, served); err != nil {
		return fmt.Errorf("using every token: %w", err)
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
