package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/patgate/patgate/internal/pace"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/uses"
)

// background does what no request needs to wait for: it stores last uses,
// records that replaced secrets are still used, and removes old events.
type background struct {
	store   store.Store
	uses    *uses.Noter
	retired *uses.Throttle               // of secrets reported lately
	pace    *pace.Pace                   // of the reports about each owner's tokens
	reports chan retiredUse              // of those to be reported now
	limits  atomic.Pointer[EventsConfig] // of the audit trail, as they are in force
	prune   *time.Timer                  // old events are looked for when it ends
	stop    context.CancelFunc
	running sync.WaitGroup

	complaints rate.Sometimes
}

// retiredUse is the use of a replaced secret after its overlap.
type retiredUse struct {
	app  *App
	id   string // of its token
	from netip.Addr
}

const (
	retiredEvery = time.Hour // a replaced secret is reported so often, at most
	retiredRoom  = 1 << 12   // of secrets that are in use at the same time
	// An owner may have any number of replaced secrets. Of all of them together, so many uses
	// are reported at once, and then one in so long: no owner crowds out the events of others.
	reportsBurst = 100
	reportsEvery = 10 * time.Minute
	pruneEvery   = 10 * time.Minute // events that are too old are looked for so often
	settleTime   = 250 * time.Millisecond
)

func newBackground(s store.Store, limits *EventsConfig) *background {
	ctx, stop := context.WithCancel(context.Background())
	b := &background{
		store: s, retired: uses.NewThrottle(retiredRoom), pace: pace.New(reportsBurst, reportsEvery), reports: make(chan retiredUse, 64), prune: time.NewTimer(pruneEvery),
		stop: stop, complaints: rate.Sometimes{Interval: time.Minute},
	}
	b.limits.Store(limits)
	b.uses = uses.New(s, func(err error) { b.failed("last uses of tokens can't be stored", err) })
	b.running.Go(func() { b.run(ctx) })
	return b
}

// apply puts a configuration's settings in force.
func (b *background) apply(a *App) {
	b.uses.SetEvery(a.lastUsed)
	b.limits.Store(&a.Events)
	b.prune.Reset(0)
}

// see is told of every request with a token that is known. Most of them leave
// nothing to be done, and cost nothing here.
func (b *background) see(ctx context.Context, a *App, o *outcome, now time.Time) {
	switch {
	case o.reason == policy.Forward, o.reason.Status() == http.StatusForbidden:
		if b.uses.Due(&o.stream.digest, now) {
			b.uses.Note(store.Use{ID: o.subject.ID.String(), At: now.UTC().Truncate(time.Millisecond), From: clientAddr(ctx).Unmap()})
		}
	case o.reason == policy.TokenRevoked && !o.subject.Revoked:
		retiredUses.Inc()
		whose := cmp.Or(o.subject.Owner.ID(), o.subject.ID.String())
		if b.retired.Allow(&o.stream.digest, now, retiredEvery) && b.pace.Allow(whose, now) {
			select {
			case b.reports <- retiredUse{a, o.subject.ID.String(), clientAddr(ctx).Unmap()}:
			default: // so many at once: the others are counted by the metric
			}
		}
	}
}

func (b *background) run(ctx context.Context) {
	defer b.prune.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-b.reports:
			b.report(ctx, r)
		case <-b.prune.C:
			b.prune.Reset(pruneEvery) // first: limits that are applied meanwhile are enforced at once
			limits := b.limits.Load()
			if err := b.store.PruneEvents(ctx, time.Duration(limits.Keep), limits.Max); err != nil {
				b.failed("old events can't be removed", err)
			}
		}
	}
}

func (b *background) report(ctx context.Context, r retiredUse) {
	reg, err := r.app.registry()
	if err == nil {
		err = reg.ReportRetired(ctx, r.id, r.from)
	}
	if err != nil {
		b.failed("that a replaced secret was used can't be recorded", err)
	}
}

// settle stores the last uses, for a caller that is about to read them. If the store can't
// be asked just now, the caller reads older ones.
func (b *background) settle() {
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	_ = b.uses.Flush(ctx) // failing, it is tried again in time
}

// failed logs what could not be done, at most once a minute, unless it is because
// the store is being closed.
func (b *background) failed(what string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	b.complaints.Do(func() { caddy.Log().Named("patgate").Error(what, zap.Error(err)) })
}

// close stores what has been noted. To be called once, before the store is
// closed.
func (b *background) close() {
	b.uses.Close()
	b.stop()
	b.running.Wait()
}
