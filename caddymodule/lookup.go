package caddymodule

import (
	"context"
	"net/netip"
	"time"

	"github.com/patgate/patgate/cache"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// decide looks the token up and judges it.
func (h *Handler) decide(ctx context.Context, m *policy.Match, o *outcome) {
	if len(m.Secret) > token.MaxSecretLength {
		o.reason = policy.TokenMalformed // not even its digest is taken
		return
	}
	now := time.Now()
	o.stream.began, o.stream.digest = now, h.app.rules.Hasher.Digest(m.Secret)
	if o.reason = h.lookup(ctx, m.Secret, now, o); o.reason == policy.StoreUnavailable {
		o.retryAfter = storeRetry
	}
	if o.subject == nil {
		if o.reason == policy.TokenUnknown && now.Before(h.unknownUntil) {
			o.reason, o.unknown = policy.Forward, true
			unknownForwarded.Inc()
		}
		return
	}
	if o.tier == tierStore {
		now = time.Now() // the store may have been slow
	}
	var from netip.Addr
	if o.subject.Allowed != nil {
		from = clientAddr(ctx)
	}
	o.reason, o.detail = m.Decide(o.subject, now, from), m.Detail
	if o.reason == policy.TokenRevoked && !o.subject.Revoked {
		o.detail = registry.ErrRetired.Error()
	}
	h.app.hub.opened.Load().background.see(ctx, h.app, o, now)
}

// lookup finds the token with this secret, whose digest is in o.stream. The reason is
// policy.Forward if it is found. Otherwise it says why not: the secret can't be a token's,
// no token has it, its sender has sent too many unknown ones, or the store can't be asked.
func (h *Handler) lookup(ctx context.Context, secret string, now time.Time, o *outcome) policy.Reason {
	opened, err := h.app.open()
	if err == nil {
		if o.subject = opened.cache.Glance(&o.stream.digest, now); o.subject != nil {
			o.tier = tierMemory
			return policy.Forward
		}
	}
	// The secret of a cached token passed this check when the token was looked up.
	if token.Inspect(h.app.rules.Prefix, secret) == token.Malformed {
		return policy.TokenMalformed
	}
	if err != nil {
		h.app.storeFailed(err)
		return policy.StoreUnavailable
	}
	var answer cache.Answer
	o.tier = tierMemory
	if o.subject, answer = opened.cache.Get(&o.stream.digest, now); answer == cache.Held {
		return policy.Forward
	}
	counted := now.After(h.unknownUntil) // until then, the API's own tokens are unknown, too
	if answer == cache.Unknown {
		if counted {
			if o.retryAfter = opened.limiter.Add(clientAddr(ctx), now); o.retryAfter > 0 {
				return policy.TooManyUnknownTokens
			}
		}
		o.tier = tierNegative
		return policy.TokenUnknown
	}
	if counted && answer == cache.Absent {
		return h.askLimited(ctx, opened, now, o)
	}
	return h.ask(ctx, opened, now, o)
}

// askLimited asks the store for the token, within the limit of unknown tokens of the
// sender's address.
func (h *Handler) askLimited(ctx context.Context, opened *openStore, now time.Time, o *outcome) policy.Reason {
	from := clientAddr(ctx)
	var err error
	if o.retryAfter, err = opened.limiter.Enter(ctx, from, now); err != nil && ctx.Err() == nil { // the client still waits
		o.detail = err.Error()
		h.app.storeFailed(err)
	}
	if reason := admitted(o.retryAfter, err); reason != policy.Forward {
		return reason
	}
	reason := h.ask(ctx, opened, time.Now(), o) // now: it may have waited for others
	// A client that doesn't wait for the answer has cost the store a lookup all the same.
	opened.limiter.Leave(from, reason == policy.TokenUnknown || reason == policy.StoreUnavailable && ctx.Err() != nil)
	return reason
}

// admitted is what an answer of the limiter means for the request.
func admitted(wait time.Duration, err error) policy.Reason {
	switch {
	case err != nil:
		return policy.StoreUnavailable
	case wait > 0:
		return policy.TooManyUnknownTokens
	}
	return policy.Forward
}

// ask asks the store for the token.
func (h *Handler) ask(ctx context.Context, opened *openStore, now time.Time, o *outcome) policy.Reason {
	o.tier = tierStore
	var known bool
	var err error
	o.subject, known, err = opened.cache.Fetch(ctx, o.stream.digest, now)
	switch {
	case err != nil:
		if ctx.Err() == nil { // the client still waits
			h.app.storeFailed(err)
		}
		return policy.StoreUnavailable
	case !known:
		return policy.TokenUnknown
	}
	return policy.Forward
}

// storeRetry is after how long a client may try again when the store could not
// be asked.
const storeRetry = time.Second
