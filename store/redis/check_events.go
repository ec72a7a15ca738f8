package redis

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// events looks for events that can't be read: once they are the oldest, they are
// removed.
func (c *check) events(ctx context.Context) error {
	for last := uint64(0); ; {
		page := redis.NewXMessageSliceCmd(noContext, "xrange", c.s.keys.events, streamID(last+1), "+", "count", step)
		if err := c.s.send(ctx, page); err != nil {
			return err
		}
		for _, m := range page.Val() {
			_, n, err := parseEvent(m)
			if err != nil {
				c.found(ctx, finding{err.Error(), nil})
			}
			last = n
		}
		if len(page.Val()) < step {
			return nil
		}
	}
}
