package policy

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/token"
)

// routes reads routes as a Caddyfile has them: "GET,PUT /a/{b} scope scope",
// each on a line of its own.
func routes(lines ...string) []RouteConfig {
	all := make([]RouteConfig, len(lines))
	for i, line := range lines {
		words := strings.Fields(line)
		all[i] = RouteConfig{
			Methods: strings.Split(words[0], ","), Pattern: words[1], Require: strings.Join(words[2:], " "),
			At: fmt.Sprintf("Caddyfile:%d", i+1),
		}
	}
	return all
}

// compile compiles a configuration that has no mistakes. Scopes are declared as
// "name" or "name > implied implied"; without any, all scopes are known.
func compile(t testing.TB, c Config, scopes ...string) *Policy {
	t.Helper()
	catalog, err := NewCatalog(declared(scopes))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compile(c, catalog)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func declared(scopes []string) (all []Scope) {
	for _, s := range scopes {
		name, implies, _ := strings.Cut(s, ">")
		all = append(all, Scope{Name: strings.TrimSpace(name), Implies: strings.Fields(implies)})
	}
	return all
}

// request is "METHOD /path?query" with header fields "Name: value".
func request(target string, fields ...string) *Request {
	method, target, _ := strings.Cut(target, " ")
	path, query, _ := strings.Cut(target, "?")
	return &Request{Method: method, Path: path, Query: query, Host: "api.example.com", Header: header(fields...)}
}

func header(fields ...string) http.Header {
	h := http.Header{}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ":") // names as they are: not made canonical
		h[name] = append(h[name], strings.TrimPrefix(value, " "))
	}
	return h
}

// splitFields splits header fields at |.
func splitFields(fields string) []string {
	if fields == "" {
		return nil
	}
	return strings.Split(fields, "|")
}

func (p *Policy) matched(req *Request) *Match {
	m := &Match{}
	p.Match(req, m)
	return m
}

// answer is what the gate would do without a store: forward, the reason, or
// "token" where one is to be judged.
func answer(m *Match) string {
	switch {
	case m.NeedsDecision():
		return "token"
	case m.LetThrough:
		return "let through"
	case m.Preflight:
		return "preflight"
	}
	return m.Reason.String()
}

// place names the route of a match by where it is written.
func place(m *Match) string {
	if m.Route == nil {
		return "none"
	}
	return m.Route.At
}

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// grant reads "spaces scopes resources", each comma-separated.
func grant(text string) token.Grant {
	w := strings.Fields(text)
	list := func(i int) []string {
		if w[i] == "-" {
			return nil
		}
		return strings.Split(w[i], ",")
	}
	return token.Grant{Spaces: list(0), Scopes: list(1), Resources: list(2)}
}

func grants(texts ...string) (all []token.Grant) {
	for _, text := range texts {
		all = append(all, grant(text))
	}
	return all
}

// holder is a token of an owner without a record.
func holder(texts ...string) *Subject {
	return &Subject{ID: NewID("t"), Owner: NewOwner("alice", nil), Grants: NewGrants(grants(texts...))}
}

// decide asks for a request with a good token.
func decide(t *testing.T, p *Policy, req *Request, s *Subject) Reason {
	t.Helper()
	req.Header["Authorization"] = []string{"Bearer secret"}
	m := p.matched(req)
	if !m.NeedsDecision() {
		return m.Reason
	}
	return m.Decide(s, now, netip.MustParseAddr("192.0.2.1"))
}

var seed = flag.Uint64("seed", 0, "of the random policies; 0: another one each time")

// seeded returns a source of random numbers, and logs the flag with which a test runs again
// on the same ones. Each test has a stream of its own.
func seeded(t *testing.T, stream uint64) *rand.Rand {
	t.Helper()
	s := *seed
	if s == 0 {
		s = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", s)
	return rand.New(rand.NewPCG(s, stream))
}

// routeAt is a route of routes, with its sources.
func routeAt(line, space, resource string) RouteConfig {
	r := routes(line)[0]
	r.Space, r.Resource = space, resource
	return r
}
