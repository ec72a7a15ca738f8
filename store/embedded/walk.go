package embedded

import (
	"bytes"
	"context"

	"go.etcd.io/bbolt"
)

// walkStep is how many keys are looked at in one step of a walk.
const walkStep = 500

// walk calls f with the keys of a bucket that begin with prefix, and without it: those
// behind at or, backward, before it; until f wants no more. It goes in steps, each of
// which looks at the store as it is then: no page that a reader can still see is written
// again, so that the file grows beside a long look through it, and a writer waits for
// every reader where it outgrows its addresses.
func (s *Store) walk(ctx context.Context, bucket, prefix, at []byte, backward bool, f func(tx tx, key []byte) (more bool, err error)) error {
	for more := true; more; {
		err := s.view(ctx, func(tx tx) (err error) {
			c := tx.b.Bucket(bucket).Cursor()
			move, find := c.Next, firstBehind
			if backward {
				move, find = c.Prev, lastBefore
			}
			key := find(c, at)
			for range walkStep {
				if more = key != nil && bytes.HasPrefix(key, prefix); !more {
					return nil
				}
				if more, err = f(tx, key[len(prefix):]); !more || err != nil {
					return err
				}
				at = append(at[:0], key...)
				key, _ = move()
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// firstBehind moves c to the first key behind limit and returns it.
func firstBehind(c *bbolt.Cursor, limit []byte) []byte {
	key, _ := c.Seek(limit)
	if key != nil && bytes.Equal(key, limit) {
		key, _ = c.Next()
	}
	return key
}

// lastBefore moves c to the last key before limit and returns it.
func lastBefore(c *bbolt.Cursor, limit []byte) (key []byte) {
	if at, _ := c.Seek(limit); at == nil {
		key, _ = c.Last()
	} else {
		key, _ = c.Prev()
	}
	return key
}
