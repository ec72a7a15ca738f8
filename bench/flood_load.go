package main

import (
	"context"
	"fmt"
	"net"
	"slices"
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
	err = conns.each(func(c int, conn net.Conn) error {
		buf := make([]byte, 16<<10)
		next, waiting := began.Add(pause*time.Duration(c)/floodConns), 0
		for n := c * len(batches) / floodConns; sleep(ctx, time.Until(next)) == nil; n++ {
			if err := readRejections(conn, buf, waiting); err != nil {
				return err
			}
			answered.Add(int64(waiting))
			if _, err := conn.Write(batches[n%len(batches)]); err != nil {
				return err
			}
			next, waiting = next.Add(pause), floodBatch
		}
		return nil
	})
	if ctx.Err() != nil {
		return nil // it has closed the connections
	}
	return err
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

const (
	normalRate  = 1000 // requests with held tokens a second
	normalConns = 8
)

// normalTraffic sends requests with held tokens for a time and returns how long
// each took, the shortest first.
func normalTraffic(ctx context.Context, addr string, requests [][]byte, d time.Duration) ([]time.Duration, error) {
	conns, err := dial(ctx, addr, normalConns)
	if err != nil {
		return nil, err
	}
	defer conns.close()
	const pause = normalConns * time.Second / normalRate // between two requests of a connection
	took := make([][]time.Duration, normalConns)
	began := time.Now()
	err = conns.each(func(c int, conn net.Conn) error {
		buf := make([]byte, 4096)
		next := began.Add(pause * time.Duration(c) / normalConns)
		for n := c * len(requests) / normalConns; next.Before(began.Add(d)); n++ {
			if err := sleep(ctx, time.Until(next)); err != nil {
				return err
			}
			next = next.Add(pause)
			sent := time.Now()
			answer, err := exchange(conn, requests[n%len(requests)], buf)
			if err == nil {
				err = served(n, answer)
			}
			if err != nil {
				return err
			}
			took[c] = append(took[c], time.Since(sent))
		}
		return nil
	})
	all := slices.Concat(took...)
	slices.Sort(all)
	return all, err
}
