package redis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/redistest"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/store/storetest"
	"github.com/patgate/patgate/token"
)

// A user that may do no more than the documentation says can have all that a store
// does. Without INFO nobody would wait for replicas, which is worth a warning.
func TestUser(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for name, allowed := range map[string]string{"enough": "+info", "little": ""} {
		user(t, server, name, "~patgate:* ~{patgate}:* +@all -@dangerous "+allowed)
		var log logged
		s := open(t, Options{Addresses: []string{server.Addr}, Username: name, Password: "secret", KeyPrefix: "patgate", Logger: log.logger()})
		create(t, s, newToken(name))
		update(t, s, name, revoke)
		if f, err := s.Find(t.Context(), digest(name)); err != nil || f.Token.RevokedAt.IsZero() {
			t.Errorf("%s: %+v, %v, want it revoked", name, f.Token, err)
		}
		const warning = "REVOCATIONS MAY BE LOST"
		if name == "little" {
			redistest.Await(t, "the warning", func() error { return unless(strings.Contains(log.String(), warning)) })
		} else if strings.Contains(log.String(), warning) {
			t.Errorf("%s: %s", name, log.String())
		}
	}
}

// What a user may not do is logged, and told to whoever asks how the store is, before
// anybody misses it.
func TestMissingRights(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, c := range []struct {
		rules string // after those that are enough
		want  string // of what is logged
	}{
		{"resetkeys ~{patgate}:*", "del patgate:t:*, get patgate:t:*"},
		{"resetkeys ~{patgate}:* %R~patgate:*", "del patgate:t:*, set patgate:t:* on"},
		{"-get", "get patgate:t:*"},
		{"-mget", "mget patgate:t:*"},
		{"-set", "set patgate:t:*"},
		{"-zadd", "zadd {patgate}:events"},
		{"-xadd", "xadd {patgate}:events, xadd {patgate}:feed on"},
		{"-eval", "eval"},
		{"-info", "may not run info on"},
	} {
		user(t, server, "u", "~patgate:* ~{patgate}:* +@all -@dangerous +info "+c.rules)
		var log logged
		s, err := Open(Options{Addresses: []string{server.Addr}, Username: "u", Password: "secret", KeyPrefix: "patgate", Logger: log.logger(), Budget: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		awaitMissing := func(want string) {
			t.Helper()
			redistest.Await(t, "what is missing with "+c.rules, func() error {
				err := s.Reach(t.Context())
				if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
					return fmt.Errorf("reached: %v, want %q", err, want)
				}
				return nil
			})
		}
		awaitMissing(c.want)
		const line = "it needs ~patgate:* ~{patgate}:* +@all -@dangerous +info"
		redistest.Await(t, "that to be logged", func() error { return unless(strings.Contains(log.String(), c.want)) })
		if n := strings.Count(log.String(), line); n != 1 || !strings.Contains(log.String(), "level=ERROR") {
			t.Errorf("%s: logged %d times: %s", c.rules, n, log.String())
		}
		user(t, server, "u", "~patgate:* ~{patgate}:* +@all -@dangerous +info")
		awaitMissing("")
		s.Close()
	}
}

// The rights that are looked at are all that are needed, and each is looked at.
func TestRightsAreEnough(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	rules := "~test*:* ~{test*}:* -@all +eval"
	for _, of := range commands {
		for _, command := range of {
			rules += " +" + strings.Fields(command)[0]
		}
	}
	user(t, server, "u", rules)
	o := Options{Addresses: []string{server.Addr}, Username: "u", Password: "secret"}
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, o) })
	s := open(t, o)
	for _, of := range commands {
		for _, command := range of {
			command = strings.Fields(command)[0]
			user(t, server, "u", rules+" -"+command)
			s.lookAtRights(t.Context())
			if err := s.Reach(t.Context()); err == nil || !strings.Contains(err.Error(), " "+command+" ") {
				t.Errorf("without %s: %v", command, err)
			}
		}
	}
}

// A change of which a part may not be made is not made, and nobody hears of it.
func TestForbiddenChange(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	o := Options{Addresses: []string{server.Addr}}
	for _, rule := range []string{"-zadd", "-zrem", "-xadd", "-hdel", "-del", "-hset"} {
		o.KeyPrefix = "forbidden" + rule
		s := open(t, o)
		told := listen(t, s)
		user(t, server, "u", "~* +@all")
		limited := o
		limited.Username, limited.Password = "u", "secret"
		other := open(t, limited)
		create(t, s, newToken("a"), newToken("b"), newToken("d"))
		putOwner(t, s, &token.Owner{ID: "carol"})
		user(t, server, "u", "~* +@all "+rule)
		ctx := store.WithEvents(t.Context(), func() []store.Event { return []store.Event{{Action: "tried", TokenID: "a", Owner: "alice"}} })
		for what, change := range map[string]func() error{
			"replace a secret": func() error {
				_, err := other.Update(ctx, "a", func(t *token.Token) error { t.Digest = digest("new"); return nil })
				return err
			},
			"revoke": func() error {
				_, err := other.Update(ctx, "b", func(t *token.Token) error { revoke(t); return nil })
				return err
			},
			"create": func() error { return other.Create(ctx, newToken("c")) },
			"delete": func() error { return other.Delete(ctx, "d") },
			"change an owner": func() error {
				_, err := other.UpdateOwner(ctx, "alice", func(*token.Owner) (*token.Owner, error) {
					return &token.Owner{ID: "alice"}, nil
				})
				return err
			},
			"forget an owner": func() error { return other.DeleteOwner(ctx, "carol") },
			"record":          func() error { return other.Record(ctx, store.Event{Action: "tried", Owner: "alice"}) },
		} {
			before := indexesOf(t, s)
			if change() == nil {
				continue // it goes without
			}
			if after := indexesOf(t, s); after != before {
				t.Errorf("%s: %s: there is now %s, before there was %s", rule, what, after, before)
			}
		}
		awaitHeard(t, s)
		if n, resets := s.Stats().Lost, told.resets(); n > 0 || resets > 0 {
			t.Errorf("%s: %d reads showed an older record than was heard of, and %d times some were missed", rule, n, resets)
		}
		if problems, err := s.Check(t.Context(), false); err != nil || len(problems) > 0 {
			t.Errorf("%s: Check = %+v, %v, want nothing", rule, problems, err)
		}
	}
}

// indexesOf returns all that shows of changes, but for records.
func indexesOf(t *testing.T, s *Store) string {
	t.Helper()
	var all []any
	for _, command := range [][]any{
		{"hmget", s.keys.head, "n", "mark", "events"}, {"xrange", s.keys.feed, "-", "+"}, {"xrange", s.keys.events, "-", "+"},
		{"zrange", s.keys.eventsBy, 0, -1}, {"zrange", s.keys.ids, 0, -1}, {"zrange", s.keys.owners, 0, -1},
	} {
		v, err := s.client.Do(t.Context(), command...).Result()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return fmt.Sprintf("%q", all)
}

// user has the server know a user with these rules.
func user(t *testing.T, server *redistest.Server, name, rules string) {
	t.Helper()
	rule := []any{"acl", "setuser", name, "reset", "on", ">secret"}
	for _, r := range strings.Fields(rules) {
		rule = append(rule, r)
	}
	server.Do(rule...)
}
