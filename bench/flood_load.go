package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// The garbage is cheap for its sender, so that the machine is left to the gateway:
// many requests in one write, and their answers, some time later, in one read.
const (
	floodRate  = 20_000 // requests a second
	floodConns = 64
	floodBatch = 8 // requests in one write
)

// floodBatches returns requests with unknown tokens, malformed ones and none, in
// batches. They have no more headers than they need.
func floodBatches(w workload) (batches [][]byte) {
	for i := 0; i < len(w.unknown); i += floodBatch {
		var b []byte
		for n := i; n < i+floodBatch; n++ {
			b = fmt.Appendf(b, "GET /v1/spaces/%s/kind%d/%d HTTP/1.1\r\nHost: api.test\r\nX-Garbage: 1\r\n", space(n), n%kinds, n)
			switch secret := w.unknown[n%len(w.unknown)]; n % 3 {
			case 0:
				b = fmt.Appendf(b, "Authorization: Bearer %s\r\n", secret)
			case 1:
				b = fmt.Appendf(b, "Authorization: Bearer %sx\r\n", secret)
			}
			b = append(b, "\r\n"...)
		}
		batches = append(batches, b)
	}
	return batches
}

// flood sends batches at floodRate until ctx ends, or as fast as they are answered
// where that is slower, and counts the answers. One that isn't a rejection is an
// error.
func flood(ctx context.Context, addr string, batches [][]byte, answered *atomic.Int64) error {
	conns, err := dial(ctx, addr, floodConns)
	if err != nil {
		return err
	}
	defer conns.close()
	const pause = floodConns * floodBatch * time.Second / floodRate // between two batches of a connection
	began := time.Now()
	var running sync.WaitGroup
	errs := make([]error, floodConns)
	for c, conn := range conns.list {
		running.Go(func() {
			buf := make([]byte, 16<<10)
			next, waiting := began.Add(pause*time.Duration(c)/floodConns), 0
			for n := c * len(batches) / floodConns; errs[c] == nil && sleep(ctx, time.Until(next)) == nil; n++ {
				if errs[c] = readRejections(conn, buf, waiting); errs[c] != nil {
					return
				}
				answered.Add(int64(waiting))
				_, errs[c] = conn.Write(batches[n%len(batches)])
				next, waiting = next.Add(pause), floodBatch
			}
		})
	}
	running.Wait()
	if ctx.Err() != nil {
		return nil // it has closed the connections
	}
	return cmp.Or(errs...)
}

// readRejections reads as many answers, which must be rejections and fit into buf.
func readRejections(conn net.Conn, buf []byte, answers int) error {
	for n, at := 0, 0; answers > 0; {
		read, err := conn.Read(buf[n:])
		if err != nil {
			return fmt.Errorf("reading a rejection: %w", err)
		}
		for n += read; at < n; answers-- {
			length, err := lengthOf(buf[at:n])
			if err != nil {
				return err
			}
			if length == 0 || at+length > n {
				break // not all there yet
			}
			if answer := buf[at : at+length]; answers == 0 || answer[len(version)] != '4' {
				return fmt.Errorf("want a rejection, got: %s", answer)
			}
			at += length
		}
	}
	return nil
}
