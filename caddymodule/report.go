package caddymodule

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// How many different findings report mode remembers, of requests on routes and of
// others. Those not seen for longest are forgotten first: whoever asks for ever new
// paths makes findings without a route only.
const (
	reportSize   = 10_000
	unroutedSize = 1_000
)

// report remembers what report mode has forwarded that would have been rejected.
// It lives as long as the store: a reload keeps it. Its memory is bounded however
// many tokens and routes there are.
type report struct {
	mu        sync.Mutex
	since     time.Time
	forgotten uint64
	findings  *simplelru.LRU[findingKey, *finding]
	unrouted  *simplelru.LRU[findingKey, *finding]
}

// findingKey is what findings are told apart by.
type findingKey struct {
	reason                           policy.Reason
	method, pattern                  string // of the route; without one, of the request, as patternOf has it
	required                         string // by the route: another site, or a later configuration, may ask for something else there
	gate                             string // where it is written, for requests on no route
	token, owner, space, res, detail string
}

// finding is requests alike that would have been rejected for the same reason.
type finding struct {
	Reason   string `json:"reason"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Route    string `json:"route"`        // methods and pattern; empty: no route matches
	At       string `json:"at,omitempty"` // where the route is written, or the gate
	Token    string `json:"token_id,omitempty"`
	Owner    string `json:"owner,omitempty"`
	Space    string `json:"space,omitempty"`
	Resource string `json:"resource,omitempty"`
	Required string `json:"required_scope,omitempty"`
	// Proposed is the pattern of a route that the request would be on, if the policy had
	// it.
	Proposed string `json:"proposed_route,omitempty"`

	Count  uint64    `json:"count"`
	First  time.Time `json:"first"`
	Last   time.Time `json:"last"`
	Method string    `json:"method"` // of the last request
	Path   string    `json:"path"`   // of the last request, without its query

	// Grant is what the token would need; null where no grant helps, as where it is
	// the owner's record that forbids.
	Grant *token.Grant `json:"grant"`
	// ManySpaces says that the grant would close routes to the token that are in its own
	// space, which take none for several.
	ManySpaces bool `json:"many_spaces,omitempty"`
	// OwnerForbids says that the owner's record doesn't allow it, whatever the token
	// holds.
	OwnerForbids bool `json:"owner_forbids,omitempty"`
}

func newReport() *report {
	r := &report{since: time.Now()}
	r.findings, _ = simplelru.NewLRU[findingKey, *finding](reportSize, nil) // fails for sizes below 1 only
	r.unrouted, _ = simplelru.NewLRU[findingKey, *finding](unroutedSize, nil)
	return r
}

// What clients send is remembered up to a length, in bytes: a space or a resource
// that is longer is in no grant.
const (
	maxReportedMethod = 32
	maxReportedPath   = 200
)

// remembered returns the beginning of what a client has sent, without what may be a
// secret, as a copy that doesn't keep the rest of the request in memory.
func remembered(s string, length int) string {
	s = masks.Now().Text(s)
	return strings.Clone(strings.ToValidUTF8(s[:min(len(s), length)], ""))
}

// add remembers a request that report mode forwards although it would have been
// rejected.
func (r *report) add(o *outcome, m *policy.Match, method, path string) {
	method, path = remembered(method, maxReportedMethod), remembered(path, maxReportedPath)
	space, resource := "", ""
	if o.tokenID != "" { // whoever has no token would make up any number of them
		space, resource = remembered(o.space, token.MaxValueLength), remembered(o.resource, token.MaxValueLength)
	}
	key := findingKey{
		reason: o.reason, token: o.tokenID, owner: o.owner, space: space, res: resource,
		detail: o.detail, method: method,
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	findings := r.findings
	if m.Route != nil {
		key.method, key.pattern, key.required = strings.Join(m.Route.Methods, ","), m.Route.Pattern, m.Route.Require.String()
	} else {
		findings, key.pattern, key.gate = r.unrouted, patternOf(path, m.SpaceSegment()), o.gate.At
	}
	f, ok := findings.Get(key)
	if !ok {
		f = newFinding(o, m, space, resource, now)
		if o.reason == policy.RouteUnknown && usualPattern.MatchString(key.pattern) {
			f.Proposed = key.pattern
		}
		if findings.Add(key, f) {
			r.forgotten++
		}
	}
	f.At = key.gate
	if m.Route != nil {
		f.At = m.Route.At // of the last request: a reload may have moved it
	}
	f.Count++
	f.Last, f.Method, f.Path = wireTime(now), method, path
}

// patternOf returns a pattern for paths alike: what looks like an id is a parameter in
// it, and so is the segment that is the space to the routes beside it (-1: none). A route
// without it would be in no space, and open to tokens of every one. A slash at the end makes
// no other route.
func patternOf(path string, space int) string {
	segments, ids := strings.Split(cmp.Or(strings.TrimSuffix(path, "/"), "/"), "/"), 0
	for i, s := range segments {
		if i == space+1 && s != "" { // before the first is the slash
			segments[i] = "{space}"
			continue
		}
		if !isID(s) {
			continue
		}
		segments[i] = "{id}"
		if ids++; ids > 1 {
			segments[i] = fmt.Sprintf("{id%d}", ids)
		}
	}
	return strings.Join(segments, "/")
}

// longSegment is how long a segment with a digit in it must be to be an id.
const longSegment = 16

// isID reports whether a segment of a path looks like an id: it is more of digits than
// of anything else, or long, with a digit in it. v1 is none.
func isID(segment string) bool {
	digits := 0
	for i := range len(segment) {
		if '0' <= segment[i] && segment[i] <= '9' {
			digits++
		}
	}
	if segment != "" && segment[0] == 'v' && digits == len(segment)-1 {
		return false
	}
	return 2*digits > len(segment) || digits > 0 && len(segment) >= longSegment
}

// usualPattern matches patterns that mean the same in a Caddyfile and in a shell: people
// paste what is proposed to them, and a client may have sent anything.
var usualPattern = regexp.MustCompile(`^/[\w/{}.~-]*$`)

func newFinding(o *outcome, m *policy.Match, space, resource string, now time.Time) *finding {
	f := &finding{
		Reason: o.reason.String(), Status: o.reason.Status(), Detail: o.detail, Token: o.tokenID, Owner: o.owner,
		Space: space, Resource: resource, Required: o.required, First: wireTime(now),
	}
	if m.Route != nil {
		f.Route = m.Route.Label()
	}
	switch o.reason {
	case policy.ScopeMissing, policy.SpaceNotGranted, policy.ResourceNotGranted:
		if o.subject == nil || m.Route == nil {
			break
		}
		f.OwnerForbids = m.Beyond(o.subject)
		if m.Lacks(o.subject) && max(len(o.space), len(o.resource)) <= token.MaxValueLength {
			if spaces, resources := m.Wanted(o.subject); spaces != nil {
				f.Grant = &token.Grant{Spaces: rememberedAll(spaces), Scopes: strings.Fields(o.scope), Resources: rememberedAll(resources)}
				f.ManySpaces = m.ManySpaces(o.subject, spaces)
			}
		}
	}
	return f
}

// rememberedAll is remembered for values of a grant.
func rememberedAll(texts []string) (all []string) {
	for _, s := range texts {
		all = append(all, remembered(s, token.MaxValueLength))
	}
	return all
}

// reportAnswer is what was found since a time.
type reportAnswer struct {
	Since     time.Time `json:"since"`
	Forgotten uint64    `json:"forgotten"` // findings that there was no room for any more
	Findings  []finding `json:"findings"`  // the most frequent first
}

// answer returns what was found.
func (r *report) answer() reportAnswer {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := reportAnswer{Since: wireTime(r.since), Forgotten: r.forgotten, Findings: []finding{}}
	for _, f := range slices.Concat(r.findings.Values(), r.unrouted.Values()) {
		a.Findings = append(a.Findings, *f)
	}
	slices.SortStableFunc(a.Findings, func(a, b finding) int { return cmp.Compare(b.Count, a.Count) })
	return a
}

// clear begins anew.
func (r *report) clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.findings.Purge()
	r.unrouted.Purge()
	r.since, r.forgotten = time.Now(), 0
}
