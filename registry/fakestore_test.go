package registry

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// fakeStore keeps tokens in memory, in their stored form. It has what the tests
// need of a store, calls every change twice, as a store may, and can be told to
// fail. TestOnRealStores shows that real ones do the same.
type fakeStore struct {
	store.Store // nil: what isn't here isn't used

	mu     sync.Mutex
	tokens map[string][]byte
	owners map[string][]byte
	found  map[token.Digest]string
	events []store.Event // those of the changes made, and those recorded

	fail      func(method string) error // asked before each method; may be nil
	meanwhile func()                    // changes what Update and UpdateOwner find when they call again; may be nil
}

var errDown = errors.New("the disk is gone")

func newFakeStore() *fakeStore {
	return &fakeStore{tokens: map[string][]byte{}, owners: map[string][]byte{}, found: map[token.Digest]string{}}
}

func (s *fakeStore) begin(ctx context.Context, method string) (end func(), err error) {
	s.mu.Lock()
	if err = ctx.Err(); err == nil && s.fail != nil {
		err = s.fail(method)
	}
	return s.mu.Unlock, err
}

func (s *fakeStore) get(id string) (*token.Token, error) {
	b, ok := s.tokens[id]
	if !ok {
		return nil, store.ErrNotFound
	}
	return token.Decode(b)
}

func (s *fakeStore) put(t *token.Token) {
	s.tokens[t.ID] = t.Encode(nil)
	for _, d := range t.Digests() {
		s.found[d] = t.ID
	}
}

func (s *fakeStore) remove(t *token.Token) {
	delete(s.tokens, t.ID)
	for _, d := range t.Digests() {
		delete(s.found, d)
	}
}

func (s *fakeStore) Find(ctx context.Context, d token.Digest) (store.Found, error) {
	end, err := s.begin(ctx, "Find")
	defer end()
	if err != nil {
		return store.Found{}, err
	}
	t, err := s.get(s.found[d])
	if err != nil {
		return store.Found{}, err
	}
	t.LastUsedAt, t.LastUsedIP = time.Time{}, netip.Addr{} // as real stores do
	f := store.Found{Token: t, Current: t.Digest == d}
	if f.Owner, err = s.getOwner(t.Owner); err != nil && !errors.Is(err, store.ErrNotFound) {
		return store.Found{}, err
	}
	for _, old := range t.Retired {
		if old.Digest == d {
			f.Until = old.Until
		}
	}
	return f, nil
}

func (s *fakeStore) Token(ctx context.Context, id string) (*token.Token, error) {
	end, err := s.begin(ctx, "Token")
	defer end()
	if err != nil {
		return nil, err
	}
	return s.get(id)
}

func (s *fakeStore) Tokens(ctx context.Context, q store.Query) (tokens []*token.Token, next string, err error) {
	end, err := s.begin(ctx, "Tokens")
	defer end()
	if err != nil {
		return nil, "", err
	}
	ids := slices.SortedFunc(maps.Keys(s.tokens), func(a, b string) int { return cmp.Compare(b, a) })
	size := 0
	for _, id := range ids {
		t, err := s.get(id)
		if err != nil {
			return nil, "", err
		}
		if q.Cursor != "" && id >= q.Cursor || !q.Selects(t) {
			continue
		}
		if q.Full(len(tokens), size) {
			return tokens, tokens[len(tokens)-1].ID, nil
		}
		tokens, size = append(tokens, t), size+t.Size()
	}
	return tokens, "", nil
}

func (s *fakeStore) Create(ctx context.Context, tokens ...*token.Token) error {
	end, err := s.begin(ctx, "Create")
	defer end()
	if err != nil {
		return err
	}
	ids, digests := map[string]bool{}, map[token.Digest]bool{}
	for _, t := range tokens {
		if s.tokens[t.ID] != nil || ids[t.ID] {
			return &store.ExistsError{ID: t.ID, By: "id"}
		}
		ids[t.ID] = true
		for _, d := range t.Digests() {
			if s.found[d] != "" || digests[d] {
				return &store.ExistsError{ID: t.ID, By: "secret"}
			}
			digests[d] = true
		}
	}
	for _, t := range tokens {
		s.put(t)
	}
	s.record(ctx)
	return nil
}

func (s *fakeStore) Update(ctx context.Context, id string, change func(*token.Token) error) (*token.Token, error) {
	end, err := s.begin(ctx, "Update")
	defer end()
	if err != nil {
		return nil, err
	}
	// Called twice, as the contract allows: a change must not depend on what the
	// first call left behind.
	var before, after *token.Token
	for again := range 2 {
		s.between(again)
		if before, err = s.get(id); err != nil {
			return nil, err
		}
		after = before.Clone()
		if err := change(after); err != nil {
			return nil, s.refused(ctx, err)
		}
	}
	s.remove(before)
	s.put(after)
	s.record(ctx)
	return s.get(id)
}

func (s *fakeStore) between(again int) {
	if again > 0 && s.meanwhile != nil {
		s.meanwhile()
	}
}

// refused returns the error of a change. Unchanged, the record is stored again with the
// events that there are, as a store does that had lost it.
func (s *fakeStore) refused(ctx context.Context, err error) error {
	if errors.Is(err, store.ErrUnchanged) {
		s.record(ctx)
	}
	return err
}

func (s *fakeStore) Delete(ctx context.Context, ids ...string) error {
	end, err := s.begin(ctx, "Delete")
	defer end()
	if err != nil {
		return err
	}
	var gone []*token.Token
	for _, id := range ids {
		t, err := s.get(id)
		if err != nil {
			return err
		}
		gone = append(gone, t)
	}
	for _, t := range gone {
		s.remove(t)
	}
	s.record(ctx)
	return nil
}

func (s *fakeStore) getOwner(id string) (*token.Owner, error) {
	b, ok := s.owners[id]
	if !ok {
		return nil, store.ErrNotFound
	}
	return token.DecodeOwner(b)
}

func (s *fakeStore) Owner(ctx context.Context, id string) (*token.Owner, error) {
	end, err := s.begin(ctx, "Owner")
	defer end()
	if err != nil {
		return nil, err
	}
	return s.getOwner(id)
}

func (s *fakeStore) Owners(ctx context.Context, after string, limit int) (owners []*token.Owner, next string, err error) {
	end, err := s.begin(ctx, "Owners")
	defer end()
	if err != nil {
		return nil, "", err
	}
	for _, id := range slices.Sorted(maps.Keys(s.owners)) {
		if id <= after {
			continue
		}
		if len(owners) == limit {
			return owners, owners[limit-1].ID, nil
		}
		o, err := s.getOwner(id)
		if err != nil {
			return nil, "", err
		}
		owners = append(owners, o)
	}
	return owners, "", nil
}

func (s *fakeStore) UpdateOwner(ctx context.Context, id string, change func(*token.Owner) (*token.Owner, error)) (*token.Owner, error) {
	end, err := s.begin(ctx, "UpdateOwner")
	defer end()
	if err != nil {
		return nil, err
	}
	var o *token.Owner
	for again := range 2 { // as in Update
		s.between(again)
		if o, err = s.getOwner(id); err != nil && !errors.Is(err, store.ErrNotFound) {
			return nil, err
		}
		if o, err = change(o); err != nil {
			return nil, s.refused(ctx, err)
		}
	}
	s.owners[id] = o.Encode(nil)
	s.record(ctx)
	return o, nil
}

func (s *fakeStore) DeleteOwner(ctx context.Context, id string) error {
	end, err := s.begin(ctx, "DeleteOwner")
	defer end()
	if err != nil {
		return err
	}
	if _, err := s.getOwner(id); err != nil {
		return err
	}
	delete(s.owners, id)
	s.record(ctx)
	return nil
}

// record keeps the events of a change.
func (s *fakeStore) record(ctx context.Context) { s.events = append(s.events, store.EventsOf(ctx)...) }

func (s *fakeStore) Record(ctx context.Context, events ...store.Event) error {
	end, err := s.begin(ctx, "Record")
	defer end()
	if err != nil {
		return err
	}
	s.events = append(s.events, events...)
	return nil
}

func (s *fakeStore) Events(ctx context.Context, q store.EventQuery) (events []store.Event, next string, err error) {
	end, err := s.begin(ctx, "Events")
	defer end()
	if err != nil {
		return nil, "", err
	}
	for _, e := range slices.Backward(s.events) {
		if q.Selects(&e) && len(events) < q.Limit {
			events = append(events, e)
		}
	}
	return events, "", nil
}
