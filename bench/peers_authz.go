package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// authz is what somebody writes in an afternoon: it looks the digest of a token
// up in Redis, and compares the token's space with that of the path.
type authz struct {
	redis *goredis.Client
	hold  bool
	held  sync.Map // of heldSpace, by digest
}

// heldSpace is the space of a token, "" where there is no such token.
type heldSpace struct {
	space string
	until time.Time
}

// serveAuthz is the authorization service that Caddy's forward_auth asks. args are the
// address of Redis, and "hold" where it holds tokens.
func serveAuthz(l net.Listener, args []string) {
	http.Serve(l, &authz{
		redis: goredis.NewClient(&goredis.Options{Addr: args[0], PoolSize: 128, MaxRetries: -1}),
		hold:  len(args) > 1,
	})
}

func (a *authz) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		http.Error(w, "no token", http.StatusUnauthorized)
		return
	}
	sum := sha256.Sum256([]byte(secret))
	space, err := a.space(r.Context(), hex.EncodeToString(sum[:]))
	path := strings.Split(r.Header.Get("X-Forwarded-Uri"), "/")
	switch {
	case err != nil:
		http.Error(w, "no store", http.StatusServiceUnavailable)
	case space == "":
		http.Error(w, "no such token", http.StatusUnauthorized)
	case len(path) < 4 || path[3] != space:
		http.Error(w, "another space", http.StatusForbidden)
	default:
		w.Header().Set("X-Space", space)
	}
}

func (a *authz) space(ctx context.Context, digest string) (string, error) {
	if held, ok := a.held.Load(digest); ok && time.Now().Before(held.(heldSpace).until) {
		return held.(heldSpace).space, nil
	}
	space, err := a.redis.Get(ctx, "go:"+digest).Result()
	if err != nil && !errors.Is(err, goredis.Nil) {
		return "", err
	}
	if a.hold {
		a.held.Store(digest, heldSpace{space, time.Now().Add(time.Minute)})
	}
	return space, nil
}
