package caddymodule

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// A request over HTTP/1 that is no stream pays no allocation for being watched.
func TestStreamCheckAllocatesNothing(t *testing.T) {
	g, rows := startCosts(t)
	serve := serving(g.server, rows[0].method, rows[0].target, rows[0].secret)
	count := func(check string) float64 {
		g.app.gates[0].StreamCheck = check
		return testing.AllocsPerRun(200, func() {
			if status := serve(); status != http.StatusOK {
				t.Fatalf("answered %d", status)
			}
		})
	}
	if off, on := count("off"), count("on"); on > off {
		t.Errorf("%v allocations with stream_check on, %v with off", on, off)
	}
}

// BenchmarkStreamCheck is what a short request pays for being watched.
func BenchmarkStreamCheck(b *testing.B) {
	g, rows := startCosts(b)
	for _, check := range []string{"off", "on"} {
		b.Run("HTTP1/"+check, func(b *testing.B) {
			g.app.gates[0].StreamCheck = check
			serve := serving(g.server, rows[0].method, rows[0].target, rows[0].secret)
			b.ReportAllocs()
			for b.Loop() {
				serve()
			}
		})
		b.Run("HTTP2/"+check, func(b *testing.B) {
			g.app.gates[0].StreamCheck = check
			r := httptest.NewRequest(rows[0].method, rows[0].target, nil)
			r.ProtoMajor, r.ProtoMinor = 2, 0
			w := &quiet{header: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(r.Header)
				clear(w.header)
				r.Header["Authorization"] = []string{"Bearer " + rows[0].secret}
				g.server.ServeHTTP(w, r)
			}
		})
	}
}

// What is read and written of a stream that was cut ends as if its client had gone:
// the upstream hasn't failed.
func TestCutIsNoFailureOfTheUpstream(t *testing.T) {
	s := new(stream)
	s.ended.Store(uint32(policy.TokenRevoked))
	_, reading := (&cuttableBody{io.NopCloser(strings.NewReader("x")), s}).Read(make([]byte, 1))
	_, writing := (&cuttableWriter{httptest.NewRecorder(), s}).Write([]byte("x"))
	for _, err := range []error{reading, writing} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, which isn't %v", err, context.Canceled)
		}
	}
}

// Whoever asks for a WebSocket and is answered something else is cut as any other,
// whether it reads the answer or not.
func TestAnswersInPlaceOfTunnelsAreCut(t *testing.T) {
	g := startErrors(t, withErrors(gatedJSON, `[]`, "{}"))
	secret, revoke := g.token(t)
	probes["fail"] = func(w http.ResponseWriter, r *http.Request) error {
		w.WriteHeader(http.StatusOK)
		revoke()
		isCut(t, r)
		return nil
	}
	r := streamWith(secret)
	r.ProtoMajor, r.ProtoMinor = 1, 1
	r.Header["Connection"], r.Header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	client, conn := net.Pipe()
	client.SetReadDeadline(time.Now().Add(time.Minute))
	ctx, cancel := context.WithCancel(r.Context())
	g.server.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithValue(ctx, connKey{}, &clientConn{conn, cancel})))
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("its connection: %v, want it closed", err)
	}
}

// A stream that begins is judged alone. All are looked through only where the cache holds
// nothing of its token, as after a change.
func TestStreamsBeginAlone(t *testing.T) {
	g := startGated(t, nil)
	var opened *openStore
	begin := func(secret string) (s *streams, st *stream) {
		opened = g.app.hub.opened.Load()
		s = newStreams() // of which only begin and again are called
		s.cache = opened.cache
		h := g.app.gates[0]
		o := &outcome{gate: h}
		st = &o.stream
		st.outcome, st.lasting, st.began, st.cancel = o, true, time.Now(), func() {}
		st.digest, st.route = h.app.rules.Hasher.Digest(secret), h.policy.Routes()[0]
		s.begin(st)
		return s, st
	}
	ended := func(st *stream) policy.Reason { return policy.Reason(st.ended.Load()) }

	secret := g.create(t)
	s, st := begin(secret)
	s.again(st)
	if len(s.wake) != 1 {
		t.Error("nothing is held of the token, and nobody is asked")
	}
	if _, _, err := opened.cache.FetchFresh(t.Context(), st.digest, time.Now()); err != nil {
		t.Fatal(err)
	}
	s, st = begin(secret)
	if s.again(st); len(s.wake) != 0 || ended(st) != policy.Forward || s.open() != 1 {
		t.Errorf("a token that is held: all streams are looked through (%d), or it was cut (%v)", len(s.wake), ended(st))
	}
	s, st = begin("pat_unknown")
	if _, _, err := opened.cache.FetchFresh(t.Context(), st.digest, time.Now()); err != nil {
		t.Fatal(err)
	}
	if s.again(st); len(s.wake) != 0 || ended(st) != policy.TokenUnknown || s.open() != 0 {
		t.Errorf("a token that has ended: all streams are looked through (%d), or it goes on (%v)", len(s.wake), ended(st))
	}
	if s.again(st); ended(st) != policy.TokenUnknown {
		t.Error("what was cut already is cut again")
	}
	s, st = begin("pat_other")
	for i := range s.shards {
		s.shards[i].close()
	}
	if s.again(st); ended(st) != policy.StoreUnavailable {
		t.Errorf("where all were cut: %v, want %v", ended(st), policy.StoreUnavailable)
	}
	late := &stream{outcome: st.outcome, cancel: func() {}}
	if s.begin(late); ended(late) != policy.StoreUnavailable {
		t.Errorf("one that begins then: %v, want %v", ended(late), policy.StoreUnavailable)
	}
	late.end()
}

// A stream in the token's own space ends when that is another one, although a new request
// would be forwarded, to there.
func TestStreamStaysInItsSpace(t *testing.T) {
	catalog, err := policy.NewCatalog(nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Compile(policy.Config{Routes: []policy.RouteConfig{{Methods: []string{"GET"}, Pattern: "/x", Require: "a", Settings: policy.Settings{Space: "token"}}}}, catalog)
	if err != nil {
		t.Fatal(err)
	}
	st := &stream{outcome: &outcome{gate: &Handler{policy: p}, space: "1"}, route: p.Routes()[0]}
	for space, want := range map[string]policy.Reason{"1": policy.Forward, "2": policy.SpaceNotGranted} {
		tok := &token.Token{Owner: "alice", Grants: []token.Grant{{Spaces: []string{space}, Scopes: []string{"a"}, Resources: []string{token.All}}}}
		subject := policy.NewSubject(tok, policy.NewOwner("alice", nil), policy.NewGrants(tok.Grants))
		if got := st.judge(&subject, time.Now()); got != want {
			t.Errorf("with the space %s: %v, want %v", space, got, want)
		}
	}
}

// However streams come and go, the lists hold those that are there.
func TestStreamShards(t *testing.T) {
	s := newStreams()
	var all []*stream
	for range 300 {
		st := &stream{outcome: new(outcome), lasting: true, began: time.Now(), cancel: func() {}}
		s.begin(st)
		all = append(all, st)
	}
	if n := s.open(); n != 300 {
		t.Errorf("%d streams, want 300", n)
	}
	for i, st := range all {
		if i%2 == 0 {
			st.end()
		}
	}
	if n := s.open(); n != 150 {
		t.Errorf("%d streams, want 150", n)
	}
	cut := s.check(func(st *stream) bool { return st == all[1] }, func(*token.Digest, time.Time) (verdict, bool) {
		return verdict{reason: policy.TokenRevoked}, true
	})
	if n := s.open(); n != 149 || len(cut) != 0 || policy.Reason(all[1].ended.Load()) != policy.TokenRevoked {
		t.Errorf("after one was cut, there are %d streams", n)
	}
	unknown := s.check(func(*stream) bool { return true }, func(*token.Digest, time.Time) (verdict, bool) { return verdict{}, false })
	if n := s.open(); n != 149 || len(unknown) != 1 {
		t.Errorf("what nobody knows of cuts nothing: %d streams, %d tokens to ask for", n, len(unknown))
	}
	for i, st := range all {
		if i%2 == 1 {
			st.end() // the one that was cut as well
		}
	}
	if n := s.open(); n != 0 {
		t.Errorf("%d streams, want none", n)
	}
}
