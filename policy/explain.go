package policy

import (
	"cmp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Explanation says what a policy makes of a request, for people and for
// machines.
type Explanation struct {
	Method   string        `json:"method"`
	Path     string        `json:"path,omitempty"` // as the policy reads it: decoded, without a trailing slash
	Route    *RouteInfo    `json:"route"`          // null: no route matches
	Scope    string        `json:"scope,omitempty"`
	Space    *LocatedValue `json:"space"`    // null: the route is in no space
	Resource *LocatedValue `json:"resource"` // null: the route has no resource
	// Strictest says why the route is the strictest of several.
	Strictest string `json:"strictest,omitempty"`
	// Alike is the route on which some servers find the request, where it is
	// refused for that.
	Alike    *RouteInfo `json:"alike,omitempty"`
	Found    string     `json:"token_found,omitempty"`
	Decision string     `json:"decision"` // forward, the reason of the rejection, or undecided
	Status   int        `json:"status"`   // of the rejection; 0 if the request is forwarded
	Detail   string     `json:"detail,omitempty"`
	// Option is the setting of the gate under which the request wouldn't be refused for
	// what Detail says, if there is one.
	Option string `json:"option,omitempty"`
	// Reports says that the request is in report mode: forwarded whatever the
	// decision.
	Reports bool `json:"reports,omitempty"`

	// TokenJudged says that the token that was given had the last word.
	TokenJudged bool `json:"token_judged"`
}

// RouteInfo describes a route.
type RouteInfo struct {
	At       string   `json:"at,omitempty"` // file:line
	Methods  []string `json:"methods"`
	Pattern  string   `json:"pattern"`
	Require  string   `json:"require"`
	Optional bool     `json:"optional,omitempty"`
	Report   bool     `json:"report,omitempty"` // mode report
	Space    string   `json:"space"`            // the source
	Resource string   `json:"resource"`         // the source
	From     []string `json:"token_from"`
}

// LocatedValue is a value with the source it was found at.
type LocatedValue struct {
	Source string `json:"source"`
	Value  string `json:"value,omitempty"`
	// Problem says why there is no value, or none that a token could be judged by:
	// what follows the source in a sentence, as "is missing".
	Problem string `json:"problem,omitempty"`
}

// Info describes the route.
func (r *Route) Info() RouteInfo {
	info := RouteInfo{
		At: r.At, Methods: r.Methods, Pattern: r.Pattern, Require: r.Require.String(), Optional: r.optional, Report: r.report,
		Space: r.space.String(), Resource: r.resource.String(),
	}
	for _, c := range r.from {
		info.From = append(info.From, c.String())
	}
	return info
}

// undecided is the decision on a request whose token wasn't looked up.
const undecided = "undecided"

// Explain judges a request as the gate does and says how it came to that. With
// assumed, it is judged as if it carried a token, wherever the route takes tokens
// from. judge has the last word on a request with a token, as Decide has. With nil,
// a token in it is found, but not looked up.
func (p *Policy) Explain(req *Request, assumed bool, judge func(*Match) Reason) Explanation {
	m := Match{assumed: assumed}
	p.Match(req, &m)
	e := Explanation{Method: req.Method, Decision: Forward.String()}
	if m.NeedsDecision() {
		if !assumed {
			e.Found = m.place.String()
		}
		if judge != nil {
			e.TokenJudged = true
			m.Reason = judge(&m)
			m.Detail = cmp.Or(m.Detail, m.Reason.Detail())
		} else {
			e.Decision = undecided
			e.Detail = "the request carries a token, which decides; it was not looked up"
		}
	}
	if m.Route != nil || m.Reason != AmbiguousRequest {
		e.Path = m.Path()
	}
	if key := m.repeated.key; key != "" && m.Route != nil {
		e.Strictest = "the query has " + key + " more than once: the strictest reading counts"
	}
	if m.alike != nil {
		e.Alike = new(m.alike.Info())
	}
	e.Reports = m.Reports()
	if m.Reason != Forward {
		e.Decision, e.Status, e.Detail = m.Reason.String(), m.Reason.Status(), m.Detail
		e.Option = optionFor(m.Detail)
		if m.piece != "" {
			e.Detail += ": " + quoted(withSlashes(m.piece))
		}
	}
	switch {
	case m.LetThrough:
		e.Detail = "carries another credential of the API, which judges it itself"
	case m.Preflight:
		e.Detail = "a CORS preflight, which carries no token"
	}
	if m.Route != nil {
		if m.Space == "" && m.Resource == "" && m.Reason != AmbiguousRequest {
			m.locate(true) // the gate doesn't look where it needn't
		}
		e.Route = new(m.Route.Info())
		e.Scope = m.Route.Require.String()
		e.Space = m.located(&m.Route.space, m.Space)
		e.Resource = m.located(&m.Route.resource, m.Resource)
	}
	return e
}

// maxQuoted is how much of a request an explanation quotes, in bytes: too little to reveal
// a secret.
const maxQuoted = 15

// quoted returns the beginning of a piece of a request, printable.
func quoted(piece string) string {
	if len(piece) <= maxQuoted {
		return strconv.Quote(piece)
	}
	end := maxQuoted
	for !utf8.RuneStart(piece[end]) {
		end--
	}
	return strconv.Quote(piece[:end] + "…")
}

// optionFor returns the setting that admits what a request is refused for, or "". The detail
// may say more before that.
func optionFor(detail string) string {
	switch {
	case strings.HasSuffix(detail, encodedSlash):
		return "encoded_slash allow"
	case strings.HasSuffix(detail, splitsEncoded), strings.HasSuffix(detail, encodedDelimiter), strings.HasSuffix(detail, encodedPercent):
		return "encoded_slash data"
	case strings.HasSuffix(detail, pathSemicolon), strings.HasSuffix(detail, querySemicolon):
		return "semicolon allow"
	}
	return ""
}

// located returns the value that the request has at a source, and what is wrong with it,
// even if the request was rejected before its sources were read.
func (m *Match) located(s *source, value string) *LocatedValue {
	if s.kind == fromNone {
		return nil
	}
	v := &LocatedValue{Source: s.String(), Value: value}
	if m.Reason != AmbiguousRequest { // whose detail says it all
		_, v.Problem = m.value(s, m.Reason == Forward)
	}
	return v
}
