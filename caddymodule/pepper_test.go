package caddymodule

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/caddyserver/caddy/v2"

	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/store/redis"
	"github.com/patgate/patgate/token"
)

// marking is a store that knows which marks were set.
type marking struct {
	plentiful
	mu    sync.Mutex
	marks []string
}

func (m *marking) Mark(_ context.Context, _ string, mark []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.marks = append(m.marks, string(mark))
	return nil, nil
}

// The mark of a pepper is set when its configuration comes into force: never by one
// that fails, and by its successor when the one before it is gone.
func TestPepperOfFailedConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(marking)
		h := newHub(source{open: func() (store.Store, error) { return m, nil }})
		defer h.Destruct()
		var want []string
		with := func(pepper string) (a *App, mark string) {
			a = &App{ctx: caddy.Context{Context: t.Context()}, rules: registry.Rules{Hasher: token.NewHasher(pepper)}}
			d := a.rules.Hasher.Digest("which pepper is this?")
			return a, string(d[:8])
		}
		use := func(a *App) {
			t.Helper()
			if err := h.use(a); err != nil {
				t.Fatal(err)
			}
		}
		marked := func(when string) {
			t.Helper()
			if synctest.Wait(); !slices.Equal(m.marks, want) {
				t.Errorf("%s the marks were %q, want %q", when, m.marks, want)
			}
		}
		first, mark := with("the pepper that is in force")
		use(first)
		want = append(want, mark)
		marked("at first")
		failed, _ := with("a pepper that never comes into force")
		use(failed)
		h.release(failed) // another app of its configuration didn't start
		marked("after a failure")
		next, mark := with("the pepper that comes after it")
		use(next)
		marked("with a successor")
		h.release(first)
		want = append(want, mark)
		marked("when the first is gone")
	})
}

// Secrets that are written out in a configuration are told by their options.
func TestPlainSecrets(t *testing.T) {
	for _, c := range []struct {
		app  *App
		want string
	}{
		{&App{}, ""},
		{&App{Token: TokenConfig{Pepper: new("0123456789abcdef")}}, "token pepper"},
		{&App{Token: TokenConfig{Pepper: new("{env.PEPPER}")}}, ""},
		{&App{Store: StoreConfig{Redis: &RedisConfig{Options: redis.Options{URL: "redis://redis:6379"}}}}, ""},
		{&App{Store: StoreConfig{Redis: &RedisConfig{Options: redis.Options{URL: "redis://user@redis:6379", Password: "{file./run/secrets/redis}"}}}}, ""},
		{&App{Store: StoreConfig{Redis: &RedisConfig{Options: redis.Options{URL: "redis://:secret@redis:6379"}}}}, "store redis"},
		{&App{Store: StoreConfig{Redis: &RedisConfig{Options: redis.Options{URL: "redis://:{env.REDIS_PASSWORD}@redis:6379"}}}}, ""},
		{&App{Store: StoreConfig{Redis: &RedisConfig{Options: redis.Options{URL: "redis://:{file./run/secrets/redis}@redis:6379"}}}}, ""},
		{&App{Store: StoreConfig{Redis: &RedisConfig{Options: redis.Options{URL: "redis://:secret@{env.HOST}:6379"}}}}, "store redis"},
		{&App{Store: StoreConfig{Redis: &RedisConfig{Options: redis.Options{URL: "redis://me@org:secret@{file./run/host}/0"}}}}, "store redis"},
		{&App{Store: StoreConfig{Redis: &RedisConfig{Options: redis.Options{URL: "redis://redis:6379/0?client_name=a@b"}}}}, ""},
		{&App{Store: StoreConfig{Redis: &RedisConfig{Options: redis.Options{Addresses: []string{"a:1"}, Password: "secret", SentinelPassword: "secret"}}}}, "store redis password, store redis sentinel_password"},
	} {
		if got := strings.Join(c.app.plainSecrets(), ", "); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// The status says that the pepper isn't what it was, until it is that again.
func TestPepperInStatus(t *testing.T) {
	open := new(openStore)
	for _, step := range []struct {
		before, mark string
		changed      bool
	}{{"a", "b", true}, {"b", "c", true}, {"c", "a", false}, {"a", "b", true}} {
		open.notePepper([]byte(step.before), []byte(step.mark))
		var out strings.Builder
		printStatus(&out, serverStatus{PepperChanged: open.pepperChanged()})
		if strings.Contains(out.String(), "\npepper ") != step.changed || strings.Contains(out.String(), "CHANGED") != step.changed {
			t.Errorf("with %s after %s, status prints\n%s", step.mark, step.before, &out)
		}
	}
}
