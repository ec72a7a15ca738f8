package storetest

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// use returns a use of a token, some seconds from now.
func use(id string, seconds int, from string) store.Use {
	u := store.Use{ID: id, At: now.Add(time.Duration(seconds) * time.Second).Truncate(time.Millisecond)}
	if from != "" {
		u.From = netip.MustParseAddr(from)
	}
	return u
}

func (s *suite) note(uses ...store.Use) {
	s.Helper()
	if err := s.NoteUses(s.ctx, uses...); err != nil {
		s.Fatalf("NoteUses: %v", err)
	}
}

// wantUse checks what is said of a token's last use, wherever it is read.
func (s *suite) wantUse(what string, u store.Use) {
	s.Helper()
	read := map[string]*token.Token{}
	var err error
	if read["Token"], err = s.Token(s.ctx, u.ID); err != nil {
		s.Fatal(err)
	}
	all, _, err := s.Tokens(s.ctx, store.Query{})
	if err != nil {
		s.Fatal(err)
	}
	for _, t := range all {
		if t.ID == u.ID {
			read["Tokens"] = t
		}
	}
	read["Update"] = s.update(u.ID, func(t *token.Token) { t.Description += "." })
	for how, t := range read {
		if !t.LastUsedAt.Equal(u.At) || t.LastUsedIP != u.From {
			s.Errorf("%s: %s says that %s was used at %v from %v, want %v from %v", what, how, u.ID, t.LastUsedAt, t.LastUsedIP, u.At, u.From)
		}
	}
}

func uses(s *suite) {
	imported := newToken("imported")
	imported.LastUsedAt, imported.LastUsedIP = now.Add(-time.Hour).Truncate(time.Millisecond), netip.MustParseAddr("192.0.2.1")
	s.create(newToken("a"), newToken("b"), imported)
	s.wantUse("not used", store.Use{ID: "a"})

	s.note(use("a", 1, "192.0.2.7"), use("b", 2, "2001:db8::1"), use("nobody", 1, ""))
	s.wantUse("used", use("a", 1, "192.0.2.7"))
	s.wantUse("used", use("b", 2, "2001:db8::1"))
	s.note(use("a", 5, ""))
	s.wantUse("used again, who knows from where", use("a", 5, ""))
	// Another gateway tells of what was before.
	s.note(use("a", 3, "192.0.2.9"), use("a", 7, "192.0.2.10"), use("a", 6, "192.0.2.11"))
	s.wantUse("the latest of several", use("a", 7, "192.0.2.10"))

	s.wantUse("as imported", store.Use{ID: "imported", At: imported.LastUsedAt, From: imported.LastUsedIP})
	s.note(use("imported", -7200, "192.0.2.8"))
	s.wantUse("earlier than what was imported", store.Use{ID: "imported", At: imported.LastUsedAt, From: imported.LastUsedIP})
	s.note(use("imported", 1, "192.0.2.8"))
	s.wantUse("later than what was imported", use("imported", 1, "192.0.2.8"))

	s.wantListed("unused for long", store.Query{UnusedSince: now.Add(5 * time.Second)}, "imported", "b")

	// Of gateways whose clocks were ahead.
	ahead := newToken("ahead")
	ahead.LastUsedAt = time.Now().Add(time.Hour)
	s.create(ahead)
	s.note(use("ahead", 1, "192.0.2.9"))
	s.wantUse("used before what was imported, which is in the future", use("ahead", 1, "192.0.2.9"))
	s.note(store.Use{ID: "ahead", At: ahead.LastUsedAt})
	if t, err := s.Token(s.ctx, "ahead"); err != nil || t.LastUsedAt.After(time.Now()) || !t.LastUsedAt.After(use("", 1, "").At) {
		s.Errorf("used in the future: %+v, %v, want it used by now", t, err)
	}
	s.delete("ahead")

	// What becomes of the token makes no difference, until it is gone.
	s.update("a", func(t *token.Token) { t.Digest = digest("another secret") })
	s.wantUse("with another secret", use("a", 7, "192.0.2.10"))
	s.delete("a")
	s.note(use("a", 8, ""))
	s.create(newToken("a"))
	s.wantUse("made anew", store.Use{ID: "a"})

	// Many at once.
	var many []*token.Token
	var uses []store.Use
	for i := range 1200 {
		id := fmt.Sprint("m", i)
		many = append(many, newToken(id))
		uses = append(uses, use(id, i, "192.0.2.7"))
	}
	s.create(many...)
	s.note(uses...)
	s.wantUse("one of many", uses[1199])
	s.wantUse("one of many", uses[0])
}

func usesAreNoChanges(s *suite) {
	s.create(newToken("a"))
	before := s.position()
	told := make(chan store.Change, 10)
	defer s.Watch(func(c store.Change) { told <- c })()
	s.note(use("a", 1, ""))
	if after := s.position(); after != before {
		s.Errorf("NoteUses moves the position from %d to %d", before, after)
	}
	s.update("a", func(t *token.Token) { t.Name = "b" })
	if c := <-told; c.Position != before+1 && !c.Reset {
		s.Errorf("the first change that watchers are told of is %+v, want that of the name", c)
	}
}
