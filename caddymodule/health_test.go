package caddymodule

import (
	"encoding/json"
	"errors"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/patgate/patgate/cache"
)

// unhealthy returns an app whose store was seen so.
func unhealthy(t *testing.T, seen observation, heard *time.Time) *App {
	t.Helper()
	f := new(follower)
	f.heard.Store(heard)
	c := cache.New(f, cache.Options{MaxStale: time.Minute})
	t.Cleanup(c.Close)
	o := &openStore{store: f, cache: c, monitor: &monitor{}}
	o.monitor.seen.Store(&seen)
	h := newHub(source{})
	h.opened.Store(o)
	return &App{hub: h}
}

// A store that was replaced stays open for a while. It isn't the one that is reported.
func TestHealthOfTheStoreInUse(t *testing.T) {
	replaced := unhealthy(t, observation{err: errNotYet}, new(time.Time)).hub
	app := unhealthy(t, observation{heard: true}, nil)
	app.hub.users = []*App{app}
	for key, h := range map[string]*hub{"replaced": replaced, "used": app.hub} {
		h.opened.Load().streams = newStreams()
		hubs.LoadOrStore(key, h)
		t.Cleanup(func() {
			h.opened.Store(nil) // there is nothing to close
			hubs.Delete(key)
		})
	}
	for range 100 { // they are met in any order
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(hubCollector{})
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == "caddy_patgate_health" })
		if i < 0 {
			t.Fatal("no health is reported")
		}
		for _, m := range families[i].GetMetric() {
			if status := m.GetLabel()[0].GetValue(); (m.GetGauge().GetValue() == 1) != (status == healthOK) {
				t.Fatalf("%s is %v, want the health of the store in use", status, m.GetGauge().GetValue())
			}
		}
	}
}

func TestHealth(t *testing.T) {
	now := time.Now()
	gone := errors.New("connection refused at redis.internal")
	at := func(d time.Duration) *time.Time { then := now.Add(d); return &then }
	for _, test := range []struct {
		name      string
		seen      observation
		heard     *time.Time
		code      int
		status    string
		heldUntil *time.Time
	}{
		{"heard", observation{heard: true}, nil, 200, "ok", nil},
		{"heard, but a part of it is gone", observation{heard: true, err: gone}, nil, 200, "partial", nil},
		{"not heard, but it answers", observation{}, at(-time.Hour), 200, "degraded", nil},
		{"gone a moment ago", observation{err: gone}, at(-10 * time.Second), 200, "stale", at(50 * time.Second)},
		{"gone for longer than max_stale", observation{err: gone}, at(-61 * time.Second), 503, "unavailable", at(-time.Second)},
		{"never heard", observation{err: errNotYet}, new(time.Time), 503, "unavailable", nil},
	} {
		h := &Health{app: unhealthy(t, test.seen, test.heard)}
		w := httptest.NewRecorder()
		if err := h.ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil), nil); err != nil {
			t.Fatal(err)
		}
		var got health
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatalf("%s: %v in %s", test.name, err, w.Body)
		}
		if w.Code != test.code || got.Status != test.status {
			t.Errorf("%s: %d %s, want %d %s", test.name, w.Code, got.Status, test.code, test.status)
		}
		switch {
		case (got.HeldUntil == nil) != (test.heldUntil == nil):
			t.Errorf("%s: held until %v, want %v", test.name, got.HeldUntil, test.heldUntil)
		case got.HeldUntil != nil && got.HeldUntil.Sub(*test.heldUntil).Abs() > time.Millisecond:
			t.Errorf("%s: held until %v, want %v", test.name, got.HeldUntil, test.heldUntil)
		}
		if fields := (map[string]any{}); json.Unmarshal(w.Body.Bytes(), &fields) != nil || len(fields) != 3 {
			t.Errorf("%s: says more than strangers need: %s", test.name, w.Body)
		}
		if got := w.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control %q, want no-store", test.name, got)
		}
	}
}

// What status says of each state, to people.
func TestHealthWords(t *testing.T) {
	now := time.Date(2026, 11, 22, 3, 0, 30, 0, time.UTC)
	until := now.Add(30 * time.Second)
	const since = ", since 2026-11-22 03:00:00 UTC (30 seconds ago)"
	for status, want := range map[string]string{
		healthOK:          "ok" + since,
		healthDegraded:    "DEGRADED: changes are not heard, so every token is asked for" + since,
		healthPartial:     "PARTIAL: not all of the store can be used, as is said below" + since,
		healthStale:       "STALE: the store can't be asked; held tokens serve until 2026-11-22 03:01:00 UTC (in 30 seconds)" + since,
		healthUnavailable: "UNAVAILABLE: the store can't be asked, and no token serves" + since,
	} {
		h := health{Status: status, Since: now.Add(-30 * time.Second), HeldUntil: &until}
		if got := h.words(now); got != want {
			t.Errorf("%s reads\n%s\nwant\n%s", status, got, want)
		}
	}
}

// A store that can't be opened, and what is no probe.
func TestHealthOtherwise(t *testing.T) {
	h := &Health{app: unhealthy(t, observation{heard: true}, nil)}
	w := httptest.NewRecorder()
	if err := h.ServeHTTP(w, httptest.NewRequest("POST", "/healthz", nil), nil); err != nil || w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %v (%v), want 405 that allows GET and HEAD", w.Code, w.Header(), err)
	}
	broken := provision(t, t.TempDir(), nil) // a directory
	defer broken.app.Cleanup()
	h = &Health{app: broken.app}
	w = httptest.NewRecorder()
	if err := h.ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil), nil); err != nil || w.Code != 503 {
		t.Errorf("a store that can't be opened: %d (%v), want 503", w.Code, err)
	}
	for _, text := range []string{"patgate_health yes", "patgate_health {\nverbose\n}"} {
		if err := new(Health).UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
}
