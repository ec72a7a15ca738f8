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
		if err := c.s.send(ctx, unsafe, keyed{c.s.keys.uses, cmd}); err != nil {
			return err
		}
		var fields []string
		fields, cursor = cmd.Val()
		var ids []string
		for i := 0; i < len(fields); i += 2 { // a value is behind each
			ids = append(ids, fields[i])
		}
		if err := each(ctx, c, ids, c.lookAtUses); err != nil {
			return err
		}
		if cursor == 0 {
			return nil
		}
	}
}

func (c *check) lookAtUses(ctx context.Context, ids []string) (map[string]finding, error) {
	where, err := c.s.whereAre(ctx, ids...)
	if err != nil {
		return nil, err
	}
	found := map[string]finding{}
	for i, id := range ids {
		if where[i] != nil {
			continue
		}
		found[id] = finding{fmt.Sprintf("a use is noted of token %q, which isn't there", id), func(ctx context.Context) error {
			return c.s.send(ctx, unsafe, keyed{c.s.keys.uses, redis.NewIntCmd(noContext, "hdel", c.s.keys.uses, id)})
		}}
	}
	return found, nil
}
