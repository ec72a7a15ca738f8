package test

import (
	"sync"
	"sync/atomic"
	"testing"
)

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
