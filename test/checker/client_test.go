package checker

import (
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// client sends requests to one gateway.
type client struct {
	w       *world
	gateway *gateway
	rng     *rand.Rand
	http    *http.Client
	done    []Request
}

func (w *world) newClient(g *gateway, n uint64) *client {
	return &client{w: w, gateway: g, rng: w.random(n), http: &http.Client{Transport: new(http.Transport), Timeout: patience}}
}

// run sends requests until ctx ends.
func (c *client) run(ctx context.Context) {
	for ctx.Err() == nil {
		number := c.rng.IntN(len(c.w.places))
		secret, text := c.w.places[number].pick(c.rng)
		needs := Read1
		if n := c.rng.IntN(10); n > 7 {
			needs = Grants(1) << c.rng.IntN(3)
		}
		c.send(Request{Gateway: c.gateway.number, Token: number, Secret: secret, Needs: needs}, text)
		time.Sleep(time.Duration(c.rng.IntN(5000)) * time.Microsecond)
	}
	c.hand()
}

// hand hands over what was asked.
func (c *client) hand() {
	c.http.CloseIdleConnections()
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.w.requests = append(c.w.requests, c.done...)
	c.done = nil
}

// send sends a request and notes the answer.
func (c *client) send(r Request, secret string) Answer {
	scope, space := r.Needs.Place()
	req, err := http.NewRequest("GET", "http://"+c.gateway.addr+"/"+space+"/"+scope, nil)
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	r.Start = c.w.now()
	resp, err := c.http.Do(req)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	r.End = c.w.now()
	if err != nil {
		r.Answer, r.Other = NoAnswer, err.Error()
	} else {
		var problem struct{ Reason string }
		json.Unmarshal(body, &problem) // what was served is none
		if r.Answer = AnswerFor(resp.StatusCode, problem.Reason); r.Answer == Unexpected {
			r.Other = resp.Status + " " + strings.Join(strings.Fields(string(body)), " ") // on one line
		}
	}
	c.done = append(c.done, r)
	return r.Answer
}
