package redis

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// hook is called with what a client is about to send, a command or a pipeline, and sends it
// with next.
type hook func(cmds []redis.Cmder, next func() error) error

func (h hook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return h([]redis.Cmder{cmd}, func() error { return next(ctx, cmd) })
	}
}

func (h hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return h(cmds, func() error { return next(ctx, cmds) })
	}
}

// steps are the scripts of a change.
var steps = map[string]string{
	scriptBegin: "begin", scriptIntend: "intend", scriptCommit: "commit", scriptState: "state", scriptSwap: "end", scriptEnd: "end",
}

// answered returns a hook that calls f when one of some steps has been answered. They are
// named by their script or, for other commands, by the key.
func answered(names map[string]string, f func(step string)) hook {
	return func(cmds []redis.Cmder, next func() error) error {
		err := next()
		args := cmds[0].Args()
		what, _ := args[min(1, len(args)-1)].(string)
		if step := names[what]; step != "" {
			f(step)
		}
		return err
	}
}
