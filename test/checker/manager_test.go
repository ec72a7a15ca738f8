package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/patgate/patgate/token"
)

// place is where a token is, or may come to be. One goroutine changes it, clients
// read its secrets.
type place struct {
	Token
	id   string
	busy bool // changes follow one another closely; else with time to look at each

	mu      sync.Mutex
	secrets []string // secret n is secrets[n-1]
}

// add adds a secret and returns its number.
func (p *place) add(secret string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.secrets = append(p.secrets, secret)
	return len(p.secrets)
}

// pick returns one of the secrets, the newest or one of those before it.
func (p *place) pick(r *rand.Rand) (number int, secret string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	number = len(p.secrets)
	if r.IntN(10) >= 6 {
		number = max(1, number-r.IntN(4))
	}
	return number, p.secrets[number-1]
}

// populate makes places for tokens, none of which exists, and owners without a
// record. The first secret of each place is known from the beginning.
func (w *world) populate() {
	const places, owners = 24, 6
	for i := range owners {
		w.owners = append(w.owners, &Owner{Name: fmt.Sprintf("owner%d", i)})
	}
	for i := range places {
		p := &place{Token: Token{Name: fmt.Sprintf("t%d", i), Owner: i % owners}, id: fmt.Sprintf("t%d", i), busy: i < places/6}
		p.add(token.NewSecret("pat"))
		w.places = append(w.places, p)
	}
}

// manager makes changes.
type manager struct {
	w      *world
	rng    *rand.Rand
	client *http.Client
}

func (w *world) newManager(n uint64) *manager {
	return &manager{w, w.random(n), &http.Client{Transport: new(http.Transport)}}
}

// answer is what the admin API may answer to a change.
type answer struct {
	Status   string
	Grants   []token.Grant
	Token    *answer
	Secret   string
	Imported int
	Skipped  int
	Gateways struct{ Acknowledged, Pending int }
	Detail   string
}

// do asks a gateway for a change, and completes c with how that went.
func (m *manager) do(c *Change, method, path, body string) (a answer) {
	g := m.w.gateways[m.rng.IntN(len(m.w.gateways))]
	c.Gateway = g.number
	c.Call = m.w.now()
	status, text, err := g.ask(m.client, method, path, body)
	c.Ack = m.w.now()
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	switch {
	case err != nil:
		c.Outcome, c.Note = Lost, err.Error()
	case status >= 500:
		c.Outcome, c.Note = Lost, a.Detail
	case status >= 400:
		c.Outcome, c.Note = Refused, a.Detail
		if status == http.StatusBadRequest {
			m.w.Errorf("%s %s %s: %d %s", method, path, body, status, text)
		}
	default:
		c.Everywhere = a.Gateways.Acknowledged == len(m.w.gateways) && a.Gateways.Pending == 0
	}
	return a
}

// pause waits for a random time, and reports whether ctx goes on.
func (m *manager) pause(ctx context.Context, from, to time.Duration) bool {
	return sleep(ctx, between(m.rng, from, to))
}

// changeToken changes the token of a place until ctx ends.
func (m *manager) changeToken(ctx context.Context, p *place) {
	defer m.client.CloseIdleConnections()
	var s State // as far as this goroutine knows
	for ctx.Err() == nil {
		c := m.change(p, s)
		p.Changes = append(p.Changes, c)
		if after, ok := s.after(&c); c.Outcome == Done && ok {
			s = after
		} else if c.Outcome != Lost {
			s.Exists = !s.Exists // an earlier change that was lost has been made
		}
		switch {
		case p.busy:
			m.pause(ctx, 0, 300*time.Millisecond)
		case s.Exists && !s.Revoked:
			m.pause(ctx, 500*time.Millisecond, 6*time.Second)
		default:
			m.pause(ctx, 200*time.Millisecond, 3*time.Second)
		}
	}
}

// change makes one change.
func (m *manager) change(p *place, s State) (c Change) {
	path := "/patgate/tokens/" + p.id
	if !s.Exists {
		return m.importToken(p)
	}
	n := m.rng.IntN(12)
	switch {
	case n < 3 && !s.Revoked:
		c.Kind = Revoke
		m.do(&c, "POST", path+"/revoke", "")
	case n < 4:
		c.Kind = Delete
		m.do(&c, "DELETE", path, "")
	case n < 7 && !s.Revoked:
		c.Kind, c.Grants = AddGrant, Grants(1)<<m.rng.IntN(3)
		m.shown(&c, m.do(&c, "POST", path+"/grants", encode(one(c.Grants))))
	case n < 8 && !s.Revoked:
		c.Kind = RemoveGrants
		m.shown(&c, m.do(&c, "DELETE", path+"/grants", ""))
	default:
		c.Kind = Regenerate
		body := ""
		if !s.Revoked && m.rng.IntN(2) == 0 {
			c.Overlap = time.Duration(500+m.rng.IntN(2000)) * time.Millisecond
			body = encode(map[string]string{"overlap": c.Overlap.String()})
		}
		a := m.do(&c, "POST", path+"/regenerate", body)
		if a.Token != nil {
			c.Secret = p.add(a.Secret)
			m.shown(&c, *a.Token)
		}
	}
	return c
}

// importToken makes the token, with a secret that was asked for before.
func (m *manager) importToken(p *place) (c Change) {
	c.Kind, c.Grants = Import, Read1
	if m.rng.IntN(2) == 0 {
		c.Grants |= Write1
	}
	secret := ""
	if c.Secret, secret = p.pick(m.rng); m.rng.IntN(2) == 0 {
		secret = token.NewSecret("pat")
		c.Secret = p.add(secret)
		m.pause(context.Background(), 0, 200*time.Millisecond) // so that clients have asked for it
	}
	a := m.do(&c, "POST", "/patgate/import", encode(map[string]any{
		"id": p.id, "name": p.Name, "owner": m.w.owners[p.Owner].Name, "secret": secret, "grants": several(c.Grants),
	}))
	if a.Skipped > 0 {
		c.Kind = ImportSame
	}
	return c
}

// shown notes what an answer says of the token.
func (m *manager) shown(c *Change, a answer) {
	if c.Outcome != Done {
		return
	}
	c.Shown = Shown{Given: true, Revoked: a.Status == "revoked"}
	for _, g := range a.Grants {
		for single := Grants(1); single < grantsEnd; single <<= 1 {
			if scope, space := single.Place(); token.Covers(g.Spaces, space) && token.Covers(g.Scopes, scope) {
				c.Shown.Grants |= single
			}
		}
	}
}

// one returns a single grant in the form of the API.
func one(g Grants) map[string][]string {
	scope, space := g.Place()
	return map[string][]string{"spaces": {space}, "scopes": {scope}}
}

// several returns grants in the form of the API.
func several(g Grants) (list []map[string][]string) {
	for single := Grants(1); single < grantsEnd; single <<= 1 {
		if g&single != 0 {
			list = append(list, one(single))
		}
	}
	return list
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// changeOwner changes an owner until ctx ends.
func (m *manager) changeOwner(ctx context.Context, o *Owner) {
	defer m.client.CloseIdleConnections()
	path := "/patgate/owners/" + o.Name
	for m.pause(ctx, 500*time.Millisecond, 6*time.Second) {
		for _, kind := range []Kind{DisableOwner, []Kind{EnableOwner, DeleteOwner}[m.rng.IntN(2)]} {
			c := Change{Kind: kind}
			if kind == DeleteOwner {
				m.do(&c, "DELETE", path, "")
			} else {
				m.do(&c, "PUT", path, fmt.Sprintf(`{"enabled":%t}`, kind == EnableOwner))
			}
			o.Changes = append(o.Changes, c)
			m.pause(ctx, 100*time.Millisecond, 2500*time.Millisecond)
		}
	}
}
