package embedded

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/patgate/patgate/store"
)

// NoteUses implements store.Uses.
func (s *Store) NoteUses(ctx context.Context, uses ...store.Use) error {
	return s.note(ctx, func(tx tx) error {
		now := time.Now()
		for _, u := range uses {
			if tx.tokens().Get([]byte(u.ID)) == nil {
				continue
			}
			if u.At.After(now) {
				u.At = now
			}
			if last, err := tx.use(u.ID); err == nil && !u.At.After(last.At) && !last.At.After(now) {
				continue
			}
			if err := tx.uses().Put([]byte(u.ID), encodeUse(u)); err != nil {
				return fmt.Errorf("noting a use of token %q: %w", u.ID, err)
			}
		}
		return nil
	})
}

// use returns the last use noted of the token with this id; the zero Use where
// there is none.
func (tx tx) use(id string) (u store.Use, err error) {
	raw := tx.uses().Get([]byte(id))
	if raw == nil {
		return u, nil
	}
	u, ok := decodeUse(raw)
	u.ID = id
	if !ok {
		return u, fmt.Errorf("token %q: its last use is damaged", id)
	}
	return u, nil
}

// encodeUse writes milliseconds, and the address as netip does.
func encodeUse(u store.Use) []byte {
	from, _ := u.From.MarshalBinary() // never fails
	return append(number(uint64(u.At.UnixMilli())), from...)
}

// decodeUse reads what encodeUse writes.
func decodeUse(raw []byte) (u store.Use, ok bool) {
	if len(raw) < 8 || u.From.UnmarshalBinary(raw[8:]) != nil {
		return u, false
	}
	u.At, ok = store.UseTime(int64(binary.BigEndian.Uint64(raw)))
	return u, ok
}
