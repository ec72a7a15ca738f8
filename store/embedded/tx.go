package embedded

import (
	"encoding/binary"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

var (
	bucketTokens   = []byte("tokens")
	bucketDigests  = []byte("digests")
	bucketByOwner  = []byte("byowner")
	bucketOwners   = []byte("owners")
	bucketUses     = []byte("uses")
	bucketEvents   = []byte("events")
	bucketEventsBy = []byte("eventsby")
	bucketMeta     = []byte("meta")
)

// The keys of bucketMeta.
var (
	keyFormat   = []byte("format")
	keyPosition = []byte("position")
	keyTokens   = []byte("tokens")
	keyOwners   = []byte("owners")
	keyEvents   = []byte("events")
	keyTrial    = []byte("trial")
)

// tx is a transaction: the records, and the indexes that go with them. What it
// returns shares nothing with the mapped file.
type tx struct{ b *bbolt.Tx }

func (tx tx) tokens() *bbolt.Bucket   { return tx.b.Bucket(bucketTokens) }
func (tx tx) digests() *bbolt.Bucket  { return tx.b.Bucket(bucketDigests) }
func (tx tx) byOwner() *bbolt.Bucket  { return tx.b.Bucket(bucketByOwner) }
func (tx tx) owners() *bbolt.Bucket   { return tx.b.Bucket(bucketOwners) }
func (tx tx) uses() *bbolt.Bucket     { return tx.b.Bucket(bucketUses) }
func (tx tx) events() *bbolt.Bucket   { return tx.b.Bucket(bucketEvents) }
func (tx tx) eventsBy() *bbolt.Bucket { return tx.b.Bucket(bucketEventsBy) }
func (tx tx) meta() *bbolt.Bucket     { return tx.b.Bucket(bucketMeta) }

// number returns a number of the meta bucket; 0 where there is none yet.
func (tx tx) number(key []byte) uint64 {
	v := tx.meta().Get(key)
	if v == nil {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

func (tx tx) setNumber(key []byte, n uint64) error {
	return tx.meta().Put(key, number(n))
}

// number encodes n so that keys sort by it.
func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// count adds n to a number; n may be below zero.
func (tx tx) count(key []byte, n int) error {
	return tx.setNumber(key, tx.number(key)+uint64(n))
}

func (tx tx) position() store.Position { return store.Position(tx.number(keyPosition)) }

// token returns the token with this id, and its last use in it.
func (tx tx) token(id []byte) (*token.Token, error) {
	raw := tx.tokens().Get(id)
	if raw == nil {
		return nil, fmt.Errorf("token %q: %w", id, store.ErrNotFound)
	}
	t, err := token.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("token %q: %w", id, err)
	}
	if u, err := tx.use(t.ID); err == nil && u.ID != "" { // a damaged one is none: Check says so
		u.Apply(t)
	}
	return t, nil
}

// owner returns the owner's record.
func (tx tx) owner(id []byte) (*token.Owner, error) {
	raw := tx.owners().Get(id)
	if raw == nil {
		return nil, fmt.Errorf("owner %q: %w", id, store.ErrNotFound)
	}
	o, err := token.DecodeOwner(raw)
	if err != nil {
		return nil, fmt.Errorf("owner %q: %w", id, err)
	}
	return o, nil
}

// putToken replaces before, nil for a new token, with after.
func (tx tx) putToken(before, after *token.Token) error {
	if err := tx.indexDigests(before, after); err != nil {
		return err
	}
	if before == nil || before.Owner != after.Owner {
		if err := tx.indexOwner(before, after); err != nil {
			return err
		}
	}
	if before == nil {
		if err := tx.count(keyTokens, 1); err != nil {
			return err
		}
	}
	return tx.tokens().Put([]byte(after.ID), after.Encode(nil))
}

// removeToken removes a token that is there.
func (tx tx) removeToken(t *token.Token) error {
	if err := tx.indexDigests(t, nil); err != nil {
		return err
	}
	if err := tx.indexOwner(t, nil); err != nil {
		return err
	}
	if err := tx.uses().Delete([]byte(t.ID)); err != nil {
		return err
	}
	if err := tx.count(keyTokens, -1); err != nil {
		return err
	}
	return tx.tokens().Delete([]byte(t.ID))
}

// indexDigests replaces the digests of before with those of after in the index. Either may
// be nil.
func (tx tx) indexDigests(before, after *token.Token) error {
	was, is := digestsOf(before), digestsOf(after)
	if slices.Equal(was, is) {
		return nil
	}
	index := tx.digests()
	for _, d := range was {
		if err := index.Delete(d[:]); err != nil {
			return err
		}
	}
	for _, d := range is {
		if index.Get(d[:]) != nil {
			return &store.ExistsError{ID: after.ID, By: "secret"}
		}
		if err := index.Put(d[:], []byte(after.ID)); err != nil {
			return err
		}
	}
	return nil
}

func digestsOf(t *token.Token) []token.Digest {
	if t == nil {
		return nil
	}
	return t.Digests()
}

// indexOwner replaces before with after in the lists of their owners. Either may be nil.
func (tx tx) indexOwner(before, after *token.Token) error {
	index := tx.byOwner()
	if before != nil {
		if err := index.Delete(append(ownerPrefix(before.Owner), before.ID...)); err != nil {
			return err
		}
	}
	if after != nil {
		return index.Put(append(ownerPrefix(after.Owner), after.ID...), nil)
	}
	return nil
}

// ownerPrefix begins the keys of an owner's tokens in the index. With its
// length in front, no owner's prefix begins another's, whatever the text.
func ownerPrefix(owner string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(owner))), owner...)
}
