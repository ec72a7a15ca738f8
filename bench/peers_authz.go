package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Environment variables that make this program the authorization service that
// Caddy's forward_auth asks: the address of Redis, and whether it holds tokens.
const (
	authzRole = "PATGATE_BENCH_AUTHZ"
	authzHold = "PATGATE_BENCH_AUTHZ_HOLD"
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

// serveAuthz prints its address and serves until its standard input ends.
func serveAuthz() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "authorization service:", err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr())
	a := &authz{
		redis: goredis.NewClient(&goredis.Options{Addr: os.Getenv(authzRole), PoolSize: 128, MaxRetries: -1}),
		hold:  os.Getenv(authzHold) == "true",
	}
	go http.Serve(listener, a)
	io.Copy(io.Discard, os.Stdin)
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
