package embedded

import (
	"bytes"
	"context"

	"go.etcd.io/bbolt"
)

// walkStep is how many keys are looked at in one step of a walk.
const walkStep = 500

// walk calls f for the keys of a bucket that begin with prefix, with the prefix cut off, until
// f wants no more: for those after at or, backward, those before it. It goes in steps, each
// of which sees the store as it is then. One long transaction would make the file grow with
// every change, since pages that a reader can see aren't used again, and a writer that
// outgrows the mapping waits for every reader.
func (s *Store) walk(ctx context.Context, bucket, prefix, at []byte, backward bool, f func(tx tx, key []byte) (more bool, err error)) error {
	for more := true; more; {
		err := s.view(ctx, func(tx tx) (err error) {
			c := tx.b.Bucket(bucket).Cursor()
			move, find := c.Next, firstAfter
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

// firstAfter moves c to the first key after limit and returns it.
func firstAfter(c *bbolt.Cursor, limit []byte) []byte {
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
