package embedded

import (
	"bytes"
	"context"
	"fmt"
)

// Mark implements store.Store.
func (s *Store) Mark(ctx context.Context, name string, mark []byte) (before []byte, err error) {
	key := []byte("mark:" + name)
	if err := s.view(ctx, func(tx tx) error {
		before = bytes.Clone(tx.meta().Get(key))
		return nil
	}); err != nil || bytes.Equal(before, mark) {
		return before, err
	}
	err = s.note(ctx, func(tx tx) error {
		before = bytes.Clone(tx.meta().Get(key)) // another may have been set meanwhile
		if err := tx.meta().Put(key, mark); err != nil {
			return fmt.Errorf("setting the mark %s: %w", name, err)
		}
		return nil
	})
	return before, err
}
