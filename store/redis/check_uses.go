package redis

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// uses looks for last uses of tokens that aren't there: a process that died
// between deleting a token and forgetting its use has left them.
func (c *check) uses(ctx context.Context) error {
	for cursor := uint64(0); ; {
		cmd := redis.NewScanCmd(noContext, nil, "hscan", c.s.keys.uses, cursor, "count", step)
		if err := c.s.send(ctx, cmd); err != nil {
			return err
		}
		var fields []string
		fields, cursor = cmd.Val()
		var ids []string
		damaged := map[string]bool{}
		for i := 0; i+1 < len(fields); i += 2 {
			ids = append(ids, fields[i])
			_, err := parseUse(fields[i+1])
			damaged[fields[i]] = err != nil
		}
		if err := each(ctx, c, ids, func(ctx context.Context, ids []string) (map[string]finding, error) {
			return c.lookAtUses(ctx, ids, damaged)
		}); err != nil {
			return err
		}
		if cursor == 0 {
			return nil
		}
	}
}

func (c *check) lookAtUses(ctx context.Context, ids []string, damaged map[string]bool) (map[string]finding, error) {
	where, err := c.s.whereAre(ctx, ids...)
	if err != nil {
		return nil, err
	}
	found := map[string]finding{}
	for i, id := range ids {
		text := fmt.Sprintf("a use is noted of token %q, which isn't there", id)
		switch {
		case damaged[id]:
			text = fmt.Sprintf("token %q: its last use is damaged", id)
		case where[i] != nil:
			continue
		}
		found[id] = finding{text, func(ctx context.Context) error {
			return c.s.send(ctx, redis.NewIntCmd(noContext, "hdel", c.s.keys.uses, id))
		}}
	}
	return found, nil
}
