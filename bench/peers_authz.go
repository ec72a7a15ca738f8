package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// authz is what somebody writes in an afternoon: it looks the digest of a token
// up in Redis, and compares the token's space with that of the path.
type authz struct{ redis *goredis.Client }

// serveAuthz is the authorization service that Caddy's forward_auth asks. args are the
// address of Redis.
func serveAuthz(l net.Listener, args []string) {
	http.Serve(l, authz{goredis.NewClient(&goredis.Options{Addr: args[0], PoolSize: 128, MaxRetries: -1})})
}

func (a authz) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		http.Error(w, "no token", http.StatusUnauthorized)
		return
	}
	sum := sha256.Sum256([]byte(secret))
	space, err := a.redis.Get(r.Context(), "go:"+hex.EncodeToString(sum[:])).Result()
	path := strings.Split(r.Header.Get("X-Forwarded-Uri"), "/")
	switch {
	case errors.Is(err, goredis.Nil):
		http.Error(w, "no such token", http.StatusUnauthorized)
	case err != nil:
		http.Error(w, "no store", http.StatusServiceUnavailable)
	case len(path) < 4 || path[3] != space:
		http.Error(w, "another space", http.StatusForbidden)
	default:
		w.Header().Set("X-Space", space)
	}
}
