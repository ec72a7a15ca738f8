package test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// created is the API's answer to a new token.
type created struct {
	Token  struct{ ID string }
	Secret string
}

// create makes a token through the admin API.
func (g *gateway) create(t *testing.T, body string) created {
	t.Helper()
	var c created
	if status := g.call(t, "POST", "/patgate/tokens", body, &c); status != http.StatusCreated {
		t.Fatalf("making a token: %d", status)
	}
	g.mu.Lock()
	g.secrets[c.Token.ID] = c.Secret
	g.mu.Unlock()
	return c
}

// session is a client with a connection that it keeps.
type session struct {
	g      *gateway
	client *http.Client
}

func (g *gateway) session(t *testing.T) *session {
	tr := &http.Transport{MaxIdleConnsPerHost: 1}
	t.Cleanup(tr.CloseIdleConnections)
	return &session{g, &http.Client{Timeout: patience, Transport: tr}}
}

// get returns the status a request for target is answered with.
func (s *session) get(target, secret string) (int, error) {
	req, err := http.NewRequest("GET", "http://"+s.g.addr+target, nil)
	if err != nil {
		return 0, err
	}
	req.Host = "api.test"
	req.Header.Set("Authorization", "Bearer "+secret)
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, err
	}
	return resp.StatusCode, nil
}

// persist is get, again as long as the server closes the connection: Caddy does
// that to kept and to new ones when it reloads.
func (s *session) persist(target, secret string) (status int, err error) {
	for range 10 {
		if status, err = s.get(target, secret); err == nil || !closedByServer(err) {
			break
		}
	}
	return status, err
}

const plainSite = `
http://api.test:{$PORT} {
	patgate {
		route GET /x stories:read
		route GET /none never
	}
	reverse_proxy {$UPSTREAM}
}`

// When a change has been acknowledged, the very next request meets it, however
// many requests keep the token in memory meanwhile.
func TestChangesAreSeenAtOnce(t *testing.T) {
	t.Parallel()
	g := start(t, setup{sites: plainSite, options: "unknown_token_limit off"}) // what is deleted is unknown
	const rounds, clients = 100, 3
	sessions := make([]*session, clients)
	for i := range sessions {
		sessions[i] = g.session(t)
	}
	check := g.session(t)
	for _, change := range []struct {
		name   string
		rounds int
		end    func(t *testing.T, c created)
		want   int
	}{
		{"revoke", rounds, func(t *testing.T, c created) { g.ok(t, "POST", "/patgate/tokens/"+c.Token.ID+"/revoke", "") }, 401},
		{"delete", rounds / 4, func(t *testing.T, c created) { g.ok(t, "DELETE", "/patgate/tokens/"+c.Token.ID, "") }, 401},
		{"regenerate", rounds / 4, func(t *testing.T, c created) {
			var again created
			if status := g.call(t, "POST", "/patgate/tokens/"+c.Token.ID+"/regenerate", "{}", &again); status != 200 {
				t.Fatalf("regenerating: %d", status)
			}
			if status, err := check.get("/x", again.Secret); status != 200 || err != nil {
				t.Errorf("regenerated: %d %v", status, err)
			}
		}, 401},
		{"remove grants", rounds / 4, func(t *testing.T, c created) { g.ok(t, "DELETE", "/patgate/tokens/"+c.Token.ID+"/grants", "") }, 403},
		{"disable owner", rounds / 4, func(t *testing.T, c created) { g.ok(t, "PUT", "/patgate/owners/alice", `{"enabled": false}`) }, 401},
	} {
		t.Run(change.name, func(t *testing.T) {
			for range change.rounds {
				g.ok(t, "PUT", "/patgate/owners/alice", `{"enabled": true, "full": true}`)
				c := g.create(t, `{"name": "x", "owner": "alice", "full": true}`)
				var acknowledged atomic.Bool
				var served, late atomic.Int64
				var load sync.WaitGroup
				warm := make(chan struct{}, clients)
				for _, s := range sessions {
					load.Go(func() {
						for after := 0; after < 2; {
							over := acknowledged.Load() // before the request is sent
							status, err := s.get("/x", c.Secret)
							switch {
							case err != nil:
								t.Errorf("under load: %v", err)
								warm <- struct{}{}
								return
							case status == 200 && over:
								late.Add(1)
							case status == 200:
								served.Add(1)
							}
							select {
							case warm <- struct{}{}:
							default:
							}
							if over {
								after++
							}
						}
					})
				}
				for range clients {
					<-warm
				}
				change.end(t, c)
				acknowledged.Store(true)
				status, err := check.get("/x", c.Secret)
				load.Wait()
				if status != change.want || err != nil {
					t.Errorf("the next request: %d %v, want %d", status, err, change.want)
				}
				if late.Load() > 0 {
					t.Errorf("%d requests were served after the change was acknowledged", late.Load())
				}
				if served.Load() == 0 {
					t.Error("no request was served before the change: this shows nothing")
				}
			}
		})
	}
}

// ok calls the admin endpoint, which must do what it is asked.
func (g *gateway) ok(t *testing.T, method, path, body string) {
	t.Helper()
	if status := g.call(t, method, path, body, nil); status != 200 && status != 204 {
		t.Fatalf("%s %s: %d", method, path, status)
	}
}

// closedByServer reports whether err is what a client sees of a kept connection
// that the server has closed.
func closedByServer(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op)
}
