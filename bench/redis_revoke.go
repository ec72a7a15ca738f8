package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// gates is how many gateways share the tokens while some are revoked.
const gates = 3

// revocations is how long tokens were served after they were revoked through
// another gateway.
type revocations struct {
	tokens   int
	answered []time.Duration // from the call to its answer
	refused  []time.Duration // from the call to the first refusal, at each other gateway
	lag      []time.Duration // from the answer to the first refusal of a request sent after it, at each other gateway
	served   int             // requests sent after the answer and served
	pending  int             // gateways that had not said so yet when the revocation was answered
}

// refusal is how a gateway came to refuse a token.
type refusal struct {
	first  time.Time // when the first refusal came
	sure   time.Time // when the first came that was asked for after the revocation's answer
	served int       // requests sent after that answer and served
}

// measureRevocations revokes tokens, one after the other, through one gateway,
// while the others are asked with them over and over.
func measureRevocations(ctx context.Context, b *testbed, out io.Writer) error {
	var all []*gateway
	for range gates {
		g, err := b.startOnRedis(ctx, "")
		if err != nil {
			return err
		}
		defer g.stop()
		all = append(all, g)
	}
	var others []net.Conn
	for _, g := range all[1:] {
		conns, err := dial(ctx, g.addr, 1)
		if err != nil {
			return err
		}
		defer conns.close()
		others = append(others, conns.list[0])
	}
	requests := ask(http.MethodGet, b.workload.tokens)
	r := revocations{tokens: min(len(requests), 1000)}
	for i := range r.tokens {
		progress("revoking token %d of %d", i+1, r.tokens)
		if err := r.one(ctx, all[0], others, tokenID(i), requests[i]); err != nil {
			return err
		}
	}
	r.print(out)
	return nil
}

// one revokes a token.
func (r *revocations) one(ctx context.Context, revoker *gateway, others []net.Conn, id string, request []byte) error {
	var answered atomic.Pointer[time.Time] // when the revocation was answered
	var serving, running sync.WaitGroup
	refusals, errs := make([]refusal, len(others)), make([]error, len(others))
	for i, conn := range others {
		conn.SetDeadline(time.Now().Add(2 * time.Minute)) // for a gateway that never refuses it
		serving.Add(1)
		running.Go(func() {
			refusals[i], errs[i] = untilRefused(conn, request, serving.Done, &answered)
		})
	}
	serving.Wait()
	began := time.Now()
	pending, err := revoker.revoke(ctx, id)
	now := time.Now()
	if err != nil {
		for _, conn := range others {
			conn.Close()
		}
		running.Wait()
		return err
	}
	answered.Store(&now)
	running.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	r.answered = append(r.answered, now.Sub(began))
	r.pending += pending
	for _, f := range refusals {
		r.refused = append(r.refused, f.first.Sub(began))
		r.lag = append(r.lag, f.sure.Sub(now))
		r.served += f.served
	}
	return nil
}

// untilRefused sends a request back to back until one is refused that was sent
// after the revocation was answered. It calls serving once: when the first was
// served, or when it gives up.
func untilRefused(conn net.Conn, request []byte, serving func(), answered *atomic.Pointer[time.Time]) (f refusal, err error) {
	serving = sync.OnceFunc(serving)
	defer serving()
	buf := make([]byte, 4096)
	for asked := 0; ; asked++ {
		isAnswered := answered.Load() != nil
		answer, err := exchange(conn, request, buf)
		if err != nil {
			return f, err
		}
		now := time.Now()
		switch {
		case hasStatus(answer, "200") && f.first.IsZero():
			if isAnswered {
				f.served++
			}
			serving()
		case hasStatus(answer, "401") && asked > 0:
			if f.first.IsZero() {
				f.first = now
			}
			if isAnswered {
				f.sure = now
				return f, nil
			}
		default:
			return f, fmt.Errorf("want served, then refused, got: %s", answer)
		}
	}
}

// revoke revokes a token and returns how many gateways have not yet said that
// they know.
func (g *gateway) revoke(ctx context.Context, id string) (pending int, err error) {
	text, err := g.admin(ctx, http.MethodPost, "/patgate/tokens/"+id+"/revoke", nil)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Gateways struct{ Acknowledged, Pending int }
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return 0, fmt.Errorf("revoking %s: %w", id, err)
	}
	if n := answer.Gateways; n.Acknowledged+n.Pending != gates {
		return 0, fmt.Errorf("revoking %s: it knows of %d gateways, want %d", id, n.Acknowledged+n.Pending, gates)
	}
	return answer.Gateways.Pending, nil
}

func (r *revocations) print(out io.Writer) {
	w := newTable(out)
	fmt.Fprintf(w, "%d revocations through one of %d gateways\tp50, ms\tp99, ms\tmax, ms\n", r.tokens, gates)
	for _, line := range []struct {
		name  string
		times []time.Duration
	}{
		{"from the call to its answer", r.answered},
		{"from the call to another gateway's first refusal", r.refused},
		{"from the answer to the refusal of a request sent after it", r.lag},
	} {
		slices.Sort(line.times)
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.2f\n", line.name, milliseconds(percentile(line.times, 50)),
			milliseconds(percentile(line.times, 99)), milliseconds(percentile(line.times, 100)))
	}
	w.Flush()
	fmt.Fprintf(out, "Requests sent after the answer and still served: %d; gateways still pending in an answer: %d\n\n", r.served, r.pending)
}
