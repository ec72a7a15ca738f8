package redis

import (
	"bytes"
	"context"

	"github.com/redis/go-redis/v9"
)

// scriptMark replaces a mark, unless another one has been set meanwhile.
//
//	KEYS  head
//	ARGV  field, the mark expected (empty: none), the mark to set
//
// It returns 1, or 0 when there is another one. Sent again, it finds the mark set.
const scriptMark = `
local v = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if v == ARGV[2] then redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
elseif v ~= ARGV[3] then return 0 end
return 1`

// Mark implements store.Store.
func (s *Store) Mark(ctx context.Context, name string, mark []byte) ([]byte, error) {
	field := "mark:" + name
	for {
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
		set := eval(scriptMark, []string{s.keys.head}, field, before, mark)
		if err := s.send(ctx, set); err != nil {
			return nil, s.changing("setting the mark "+name, err)
		}
		if n, err := set.Int(); err != nil || n == 1 {
			return before, err
		}
	}
}
