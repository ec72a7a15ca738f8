package caddymodule

import (
	"bytes"
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/patgate/patgate/store"
)

// comparePepper says so where a store was used with another pepper before: none of the
// tokens made with that one is found with this one, and all are answered 401. It tries
// until the store can be asked, or ctx ends.
func (a *App) comparePepper(ctx context.Context, s store.Store) {
	digest := a.rules.Hasher.Digest("which pepper is this?") // of no secret: they have no blanks
	mark := digest[:8]
	for pause := time.Second; ; pause = min(2*pause, time.Minute) {
		before, err := s.Mark(ctx, "pepper", mark)
		if err == nil {
			if before != nil && !bytes.Equal(before, mark) {
				a.sayOtherPepper(ctx, s)
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

func (a *App) sayOtherPepper(ctx context.Context, s store.Store) {
	status, err := s.Status(ctx)
	if err == nil && status.Tokens == 0 {
		return
	}
	a.logger.Error("TOKENS ARE ANSWERED 401: this store was used with another pepper before, and tokens that were made with it are unknown with this one; "+
		"give all gateways of a store the same", zap.String("store", status.Location), zap.Int("tokens", status.Tokens))
}
