package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/netip"
	"time"

	"github.com/patgate/patgate/token"
)

// Copied says what Copy has done.
type Copied struct {
	Tokens  int `json:"tokens"`  // in the source
	Owners  int `json:"owners"`  // in the source
	Written int `json:"written"` // tokens and owners that were not there already
	Events  int `json:"events"`  // added now
	// Digest is the SHA-256 of all records of the source in the order of their
	// ids, last uses left out. Those of the target have the same.
	Digest string `json:"digest"`
}

// copyStep is how many records are on their way at once.
const copyStep = 500

// Copy adds every token, owner and event of one store to another and verifies that
// the tokens and owners are there. Records that are there already and equal are left
// alone, so that a Copy that was interrupted can be run again. A target with anything
// else in it is refused before anything is written. A token's last use is copied, but
// records that differ in it alone count as equal: tokens are used meanwhile. If the
// source changes during the copy, that is an error. progress, if not nil, is called
// with the number of records done so far.
func Copy(ctx context.Context, from, to Store, progress func(records int)) (Copied, error) {
	if progress == nil {
		progress = func(int) {}
	}
	before, err := from.Status(ctx)
	if err != nil {
		return Copied{}, fmt.Errorf("reading the source: %w", err)
	}
	copied, err := leftOver(ctx, from, to)
	if err != nil {
		return Copied{}, err
	}
	c, err := copyRecords(ctx, from, to, progress)
	if err == nil {
		err = verify(ctx, to, c)
	}
	if err == nil {
		err = copyEvents(ctx, from, to, copied, func(n int) {
			c.Events += n
			progress(c.Tokens + c.Owners + c.Events)
		})
	}
	if err != nil {
		return c, err
	}
	after, err := from.Status(ctx)
	if err != nil {
		return c, fmt.Errorf("reading the source: %w", err)
	}
	switch {
	case after.Position != before.Position:
		return c, errChanged
	case after.Tokens != c.Tokens || after.Owners != c.Owners:
		return c, fmt.Errorf("the source lists %d tokens and %d owners, and has lost the records of some: only %d tokens and %d owners are in the copy; "+
			"see what patgate store check says of the source", after.Tokens, after.Owners, c.Tokens, c.Owners)
	}
	return c, nil
}

// errChanged is why a complete copy isn't one of what the source holds now.
var errChanged = errors.New("tokens or owners of the source were changed meanwhile, and what was changed, a revocation perhaps, isn't in the copy: " +
	"don't use it; stop what changes them, and copy to an empty store")

// copyRecords adds the tokens and owners of one store to another, and returns how many
// there are and how many it has written.
func copyRecords(ctx context.Context, from, to Store, progress func(records int)) (Copied, error) {
	records, written := 0, 0
	added := func(page, n int, err error) error {
		records += page
		written += n
		progress(records)
		return err
	}
	c, err := eachRecord(ctx, from, func(page []*token.Token) error {
		n, err := addTokens(ctx, to, page)
		return added(len(page), n, err)
	}, func(page []*token.Owner) error {
		n, err := addOwners(ctx, to, page)
		return added(len(page), n, err)
	})
	c.Written = written
	return c, err
}

// eachRecord calls tokens with all tokens of a store, newest first, and owners with all
// owners, some at a time. It returns how many of them there are, and their digest.
func eachRecord(ctx context.Context, s Store, tokens func([]*token.Token) error, owners func([]*token.Owner) error) (c Copied, err error) {
	sum := sha256.New()
	err = eachPage(func(page []*token.Token) error {
		c.Tokens += len(page)
		hashRecords(sum, page)
		return tokens(page)
	}, func(cursor string) ([]*token.Token, string, error) {
		return s.Tokens(ctx, Query{Limit: copyStep, Cursor: cursor})
	})
	if err != nil {
		return c, err
	}
	err = eachPage(func(page []*token.Owner) error {
		c.Owners += len(page)
		hashRecords(sum, page)
		return owners(page)
	}, func(cursor string) ([]*token.Owner, string, error) {
		return s.Owners(ctx, cursor, copyStep)
	})
	if err == nil {
		c.Digest = hex.EncodeToString(sum.Sum(nil))
	}
	return c, err
}

func eachPage[T any](f func([]T) error, read func(cursor string) (page []T, next string, err error)) error {
	for cursor := ""; ; {
		page, next, err := read(cursor)
		if err != nil {
			return fmt.Errorf("reading tokens and owners: %w", err)
		}
		if err := f(page); err != nil {
			return err
		}
		if cursor = next; cursor == "" {
			return nil
		}
	}
}

// leftOver checks that the target has nothing but what an interrupted copy has left there,
// and returns the id of the last event that was copied.
func leftOver(ctx context.Context, from, to Store) (copied string, err error) {
	_, err = eachRecord(ctx, to, func(page []*token.Token) error {
		for _, t := range page {
			there, err := from.Token(ctx, t.ID)
			if err = checkCopied("token "+t.ID, there, t, err); err != nil {
				return err
			}
		}
		return nil
	}, func(page []*token.Owner) error {
		for _, o := range page {
			there, err := from.Owner(ctx, o.ID)
			if err = checkCopied(fmt.Sprintf("owner %q", o.ID), there, o, err); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		copied, err = copiedUpTo(ctx, from, to)
	}
	if err != nil {
		return "", fmt.Errorf("nothing was copied: %w", err)
	}
	return copied, nil
}

// checkCopied returns an error if a record of the target is its own: not that of the source,
// which was read with err.
func checkCopied(what string, source, target record, err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return fmt.Errorf("%s is in the target, and not in the source: copy to an empty store", what)
	case err != nil:
		return fmt.Errorf("reading %s of the source: %w", what, err)
	case !bytes.Equal(compared(source), compared(target)):
		return fmt.Errorf("%s is in the target already, and differs: copy to an empty store", what)
	}
	return nil
}

// addTokens adds the tokens that aren't there, and returns how many it has added.
func addTokens(ctx context.Context, to Store, page []*token.Token) (written int, err error) {
	err = to.Create(ctx, page...)
	switch {
	case err == nil:
		return len(page), nil
	case !errors.Is(err, ErrExists):
		return 0, fmt.Errorf("writing tokens: %w", err)
	}
	for _, t := range page { // some of them are there
		switch err := to.Create(ctx, t); {
		case err == nil:
			written++
		case !errors.Is(err, ErrExists):
			return written, fmt.Errorf("writing token %s: %w", t.ID, err)
		}
	}
	return written, nil
}

// addOwners adds the owners that aren't there, and returns how many it has added.
func addOwners(ctx context.Context, to Store, page []*token.Owner) (written int, err error) {
	for _, o := range page {
		_, err := to.UpdateOwner(ctx, o.ID, func(there *token.Owner) (*token.Owner, error) {
			if there != nil {
				return nil, ErrUnchanged
			}
			return o.Clone(), nil
		})
		switch {
		case err == nil:
			written++
		case !errors.Is(err, ErrUnchanged):
			return written, fmt.Errorf("writing owners: %w", err)
		}
	}
	return written, nil
}

// verify compares what is in the target with what was copied.
func verify(ctx context.Context, to Store, c Copied) error {
	got, err := eachRecord(ctx, to, func([]*token.Token) error { return nil }, func([]*token.Owner) error { return nil })
	switch {
	case err != nil:
		return fmt.Errorf("verifying the copy: %w", err)
	case got.Tokens != c.Tokens || got.Owners != c.Owners:
		return fmt.Errorf("verifying the copy: the target holds %d tokens and %d owners, the source %d and %d", got.Tokens, got.Owners, c.Tokens, c.Owners)
	case got.Digest != c.Digest:
		return fmt.Errorf("verifying the copy: the target's records differ (%s) from the source's (%s): was either changed meanwhile?", got.Digest, c.Digest)
	}
	return nil
}

// record is a token or an owner.
type record interface{ Encode([]byte) []byte }

// compared returns the part of a record that a copy must have, too.
func compared(r record) []byte {
	if t, ok := r.(*token.Token); ok {
		unused := *t
		unused.LastUsedAt, unused.LastUsedIP = time.Time{}, netip.Addr{}
		r = &unused
	}
	return r.Encode(nil)
}

func hashRecords[T record](h hash.Hash, page []T) {
	for _, r := range page {
		h.Write(compared(r))
	}
}
