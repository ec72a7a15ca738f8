package caddymodule

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// minPepper is how many characters a pepper has at least.
const minPepper = 16

var errShortPepper = fmt.Errorf("token pepper: want at least %d characters, so that it can't be guessed", minPepper)

// checkPepper refuses one that is too short, as far as it is known before its placeholders
// are replaced.
func checkPepper(text string) error {
	if len(text) < minPepper && !strings.Contains(text, "{") {
		return errShortPepper
	}
	return nil
}

// hasher makes digests, under the pepper if there is one.
func (c *TokenConfig) hasher() (*token.Hasher, error) {
	if c.Pepper == nil {
		return token.NewHasher(""), nil
	}
	pepper, err := caddy.NewReplacer().ReplaceOrErr(*c.Pepper, true, true)
	if err != nil {
		return nil, fmt.Errorf("token pepper: %w", err)
	}
	if len(pepper) < minPepper {
		return nil, errShortPepper
	}
	return token.NewHasher(pepper), nil
}

// comparePepper finds out whether the store was used with another pepper before: then none
// of the tokens made with that one is found with this one, and all are answered 401. It
// tries until the store can be asked, or ctx ends.
func (a *App) comparePepper(ctx context.Context, t *openStore) {
	digest := a.rules.Hasher.Digest("which pepper is this?") // of no secret: they have no blanks
	mark := digest[:8]
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		before, err := t.store.Mark(ctx, "pepper", mark)
		if err == nil {
			if before != nil && !bytes.Equal(before, mark) && a.sayOtherPepper(ctx, t.store) {
				t.notePepper(before, mark)
			}
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// sayOtherPepper logs that, unless there are no tokens that it could matter to. It reports
// whether there are.
func (a *App) sayOtherPepper(ctx context.Context, s store.Store) bool {
	status, err := s.Status(ctx)
	if err == nil && status.Tokens == 0 {
		return false
	}
	a.logger.Error("TOKENS ARE ANSWERED 401: this store was used with another pepper before, and tokens that were made with it are unknown with this one; "+
		"give all gateways of a store the same", zap.String("store", status.Location), zap.Int("tokens", status.Tokens))
	return true
}

// pepperChange says that the store was used with another pepper before.
type pepperChange struct {
	from []byte // the mark of that one
	at   time.Time
}

// notePepper remembers for the status that the pepper has changed, until it has changed
// back.
func (t *openStore) notePepper(before, mark []byte) {
	switch was := t.pepper.Load(); {
	case was == nil:
		t.pepper.Store(&pepperChange{before, wireTime(time.Now())})
	case bytes.Equal(was.from, mark):
		t.pepper.Store(nil)
	}
}

// pepperChanged returns when that was found; nil: it wasn't.
func (t *openStore) pepperChanged() *time.Time {
	if change := t.pepper.Load(); change != nil {
		return &change.at
	}
	return nil
}
