package caddymodule

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/patgate/patgate/policy"
)

const (
	// rejectionKinds is how many kinds of rejections are told apart. Routes and
	// reasons are few, but reloads may bring ever new routes.
	rejectionKinds = 2000
	// rejectionsShown is how many of them status shows.
	rejectionsShown = 10
)

// rejections counts requests that were turned away, by reason and route. It
// lives as long as the store: a reload keeps it.
type rejections struct {
	mu    sync.Mutex
	since time.Time
	total uint64
	kinds map[rejectionKind]*rejection
}

// rejectionKind is what rejections are told apart by: what comes from the
// configuration, and nothing that clients choose.
type rejectionKind struct {
	reason          policy.Reason
	method, pattern string // the route's first method and its pattern; empty: no route
}

// rejection is requests that were turned away for the same reason by the same
// route.
type rejection struct {
	Reason string    `json:"reason"`
	Status int       `json:"status"`
	Route  string    `json:"route"` // methods and pattern; empty: no route matches
	Count  uint64    `json:"count"`
	Last   time.Time `json:"last"`
	Detail string    `json:"detail"` // of the last request
}

func newRejections() *rejections {
	return &rejections{since: time.Now(), kinds: map[rejectionKind]*rejection{}}
}

// add counts a request that is turned away.
func (r *rejections) add(o *outcome, route *policy.Route) {
	kind := rejectionKind{reason: o.reason}
	if route != nil {
		kind.method, kind.pattern = route.Methods[0], route.Pattern
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total++
	one, ok := r.kinds[kind]
	if !ok {
		if len(r.kinds) == rejectionKinds {
			return // counted in total only
		}
		one = &rejection{Reason: o.reason.String(), Status: o.reason.Status()}
		if route != nil {
			one.Route = route.Label()
		}
		r.kinds[kind] = one
	}
	one.Count++
	one.Last, one.Detail = now, o.text()
}

// rejectionStatus is what was turned away since a time.
type rejectionStatus struct {
	Since time.Time   `json:"since"`
	Total uint64      `json:"total"`
	Top   []rejection `json:"top"` // the most frequent first
}

// status returns the most frequent rejections.
func (r *rejections) status() rejectionStatus {
	r.mu.Lock()
	s := rejectionStatus{Since: wireTime(r.since), Total: r.total, Top: make([]rejection, 0, len(r.kinds))}
	for _, one := range r.kinds {
		s.Top = append(s.Top, *one)
	}
	r.mu.Unlock()
	slices.SortFunc(s.Top, func(a, b rejection) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), b.Last.Compare(a.Last), strings.Compare(a.Reason+a.Route, b.Reason+b.Route))
	})
	s.Top = s.Top[:min(len(s.Top), rejectionsShown)]
	for i := range s.Top {
		s.Top[i].Last = wireTime(s.Top[i].Last)
	}
	return s
}
