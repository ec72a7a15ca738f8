package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// asked is a request, and its answer while nothing is reloaded, without what may
// differ from one time to the next.
type asked struct {
	request []byte
	status  int // that a gate answers
	answer  []byte
}

// rehearse learns the answers, and checks their statuses. A gateway that is open
// forwards everything.
func (l *askedList) rehearse(ctx context.Context, addr string, open bool) error {
	requests := make([][]byte, len(l.asked))
	for i, a := range l.asked {
		requests[i] = a.request
	}
	_, err := once(ctx, addr, l.connections, requests, func(i int, answer []byte) error {
		want := l.asked[i].status
		if open {
			want = http.StatusOK
		}
		if got := string(answer[len(version):][:3]); got != strconv.Itoa(want) {
			return fmt.Errorf("want status %d, got: %s", want, answer)
		}
		l.asked[i].answer = steady(bytes.Clone(answer))
		return nil
	})
	return err
}

// steadyLoad sends requests over connections that it opens again when they are
// closed, and compares the answers.
type steadyLoad struct {
	ctx      context.Context // its end closes the connections
	addr     string
	until    time.Time // requests are sent
	patience time.Time // the last answer must be there

	mu    sync.Mutex
	found findings
}

// findings are what has become of requests and connections.
type findings struct {
	answers   int    // whole ones, right or wrong
	forwarded int    // those of the upstream among them
	wrong     int    // other than expected
	example   []byte // of those, the first
	broken    int    // answers that ended in the middle
	announced int    // connections closed after an answer that said so
	silent    int    // connections closed without any answer: the request was sent again
}

func (f *findings) add(g findings) {
	f.answers += g.answers
	f.forwarded += g.forwarded
	f.wrong += g.wrong
	f.broken += g.broken
	f.announced += g.announced
	f.silent += g.silent
	if f.example == nil {
		f.example = g.example
	}
}

// askSteadily sends the requests of lists for a time, each list over connections
// of its own, and returns what has become of them.
func askSteadily(ctx context.Context, addr string, d time.Duration, lists ...askedList) (findings, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	now := time.Now()
	l := &steadyLoad{ctx: ctx, addr: addr, until: now.Add(d), patience: now.Add(d + 30*time.Second)}
	var running sync.WaitGroup
	for _, list := range lists {
		for c := range list.connections {
			running.Go(func() {
				if err := l.ask(list.asked, c*len(list.asked)/list.connections); err != nil {
					stop(err)
				}
			})
		}
	}
	running.Wait()
	return l.found, context.Cause(ctx)
}

// askedList is requests that come over a number of connections.
type askedList struct {
	asked       []asked
	connections int
}

// ask sends requests over one connection at a time, from the n-th on.
func (l *steadyLoad) ask(list []asked, n int) error {
	var f findings
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.found.add(f)
	}()
	buf := make([]byte, 4096)
	for time.Now().Before(l.until) {
		conn, err := dial(l.ctx, l.addr, 1)
		switch {
		case errors.Is(err, syscall.ECONNRESET): // the old listener's, that has not accepted it
			f.silent++
			continue
		case err != nil:
			return err
		}
		n, err = l.askOver(conn.list[0], list, n, buf, &f)
		conn.close()
		if err != nil {
			return err
		}
	}
	return nil
}

// askOver sends requests over a connection until it is closed, and returns which
// comes next.
func (l *steadyLoad) askOver(conn net.Conn, list []asked, n int, buf []byte, f *findings) (int, error) {
	conn.SetDeadline(l.patience)
	for ; time.Now().Before(l.until); n++ {
		a := &list[n%len(list)]
		answer, err := exchange(conn, a.request, buf)
		switch {
		case err == nil:
			last := bytes.Contains(answer, closing)
			if f.judge(answer, a.answer); last {
				f.announced++
				return n + 1, nil
			}
		case l.ctx.Err() != nil:
			return n, l.ctx.Err()
		case time.Now().After(l.patience):
			return n, fmt.Errorf("asking %.80q: %w", a.request, err)
		case len(answer) == 0:
			f.silent++
			return n, nil
		default:
			f.broken++
			return n + 1, nil
		}
	}
	return n, nil
}

func (f *findings) judge(answer, want []byte) {
	f.answers++
	if isForwarded(answer) {
		f.forwarded++
	}
	if answer = steady(answer); !bytes.Equal(answer, want) {
		f.wrong++
		if f.example == nil {
			f.example = bytes.Clone(answer)
		}
	}
}

var (
	closing = []byte("\r\nConnection: close\r\n")
	dated   = []byte("\r\nDate: ")
)

// steady returns an answer without what may differ from one time to the next. It
// changes the answer.
func steady(answer []byte) []byte {
	if i := bytes.Index(answer, dated); i >= 0 {
		end := i + 2 + bytes.Index(answer[i+2:], []byte("\r\n"))
		answer = slices.Delete(answer, i, end)
	}
	if i := bytes.Index(answer, closing); i >= 0 {
		answer = slices.Delete(answer, i, i+len(closing)-2)
	}
	return answer
}

// isForwarded reports whether an answer is the upstream's.
func isForwarded(answer []byte) bool { return bytes.HasPrefix(answer, []byte(version+"200 ")) }
