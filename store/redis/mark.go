package redis

import (
	"bytes"
	"context"

	"github.com/redis/go-redis/v9"
)

// Mark implements store.Store.
func (s *Store) Mark(ctx context.Context, name string, mark []byte) ([]byte, error) {
	field := "mark:" + name
	get := redis.NewStringCmd(noContext, "hget", s.keys.head, field)
	if err := s.send(ctx, get); err != nil {
		return nil, s.reading("the mark "+name, err)
	}
	before := []byte(get.Val())
	if len(before) == 0 {
		before = nil
	}
	if bytes.Equal(before, mark) {
		return before, nil
	}
	set := redis.NewIntCmd(noContext, "hset", s.keys.head, field, mark)
	if err := s.send(ctx, set); err != nil {
		return nil, s.changing("setting the mark "+name, err)
	}
	return before, nil
}
