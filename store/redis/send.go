package redis

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/store"
)

// noContext is given to commands, for go-redis uses the context they are sent with.
var noContext = context.Background()

// safety says whether the replicas must have what was written before it counts.
type safety bool

const (
	unsafe safety = false
	safe   safety = true
)

// send sends commands in one round trip to each server concerned, within the time
// that they are allowed. Each command may be sent twice. The error is the first of
// any of them, redis.Nil aside.
func (s *Store) send(ctx context.Context, cmds ...redis.Cmder) error {
	return s.sendWith(ctx, unsafe, cmds...)
}

// sendWith is send; with safe the error is errNotReplicated if all commands succeed but
// a server's replicas don't confirm.
func (s *Store) sendWith(ctx context.Context, safety safety, cmds ...redis.Cmder) error {
	ctx, cancel := context.WithTimeout(ctx, s.allowed(cmds))
	defer cancel()
	err := s.sendOnce(ctx, safety, cmds...)
	if _, broken := errors.AsType[brokenError](err); broken && ctx.Err() == nil {
		err = s.sendOnce(ctx, safety, cmds...)
	}
	return err
}

// sendOnce is sendWith for commands that must not be sent twice. If sending them again might
// help, the error is a brokenError.
func (s *Store) sendOnce(ctx context.Context, safety safety, cmds ...redis.Cmder) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.allowed(cmds))
	defer cancel()
	err := s.trySend(ctx, safety, cmds)
	switch {
	case errors.Is(err, redis.ErrClosed) && s.ctx.Err() != nil:
		return errClosed
	case err != nil && transient(err):
		s.reload(ctx)
		return brokenError{s.unheard(plain(err))}
	}
	return s.unheard(plain(err))
}

// allowed returns how long commands may take: the budget, and a little more for
// each argument. What changes a thousand records takes its time on a busy machine.
func (s *Store) allowed(cmds []redis.Cmder) time.Duration {
	arguments := 0
	for _, c := range cmds {
		arguments += len(c.Args())
	}
	return s.budget + time.Duration(arguments)*s.budget/2500
}

// keyOf returns the key by which the server for a command is found. Those of a script
// follow their number.
func (s *Store) keyOf(cmd redis.Cmder) string {
	switch args := cmd.Args(); {
	case len(args) == 1: // time
		return s.keys.head
	case args[0] == "eval":
		return args[3].(string)
	default:
		return args[1].(string)
	}
}

// cmders returns commands of one type as send takes them.
func cmders[C redis.Cmder](cmds []C) []redis.Cmder {
	all := make([]redis.Cmder, len(cmds))
	for i, c := range cmds {
		all[i] = c
	}
	return all
}

// usable returns why nothing can be asked, if so.
func (s *Store) usable(ctx context.Context) error {
	if s.ctx.Err() != nil {
		return errClosed
	}
	return ctx.Err()
}

func (s *Store) trySend(ctx context.Context, safety safety, cmds []redis.Cmder) error {
	if s.cluster == nil {
		return s.pipe(ctx, s.client.(*redis.Client), safety, cmds)
	}
	byMaster := map[*redis.Client][]redis.Cmder{}
	for _, c := range cmds {
		m, err := s.serverOf(ctx, s.keyOf(c))
		if err != nil {
			return err
		}
		byMaster[m] = append(byMaster[m], c)
	}
	var all sync.WaitGroup
	errs := make(chan error, len(byMaster))
	for m, cmds := range byMaster {
		all.Go(func() {
			if err := s.pipe(ctx, m, safety, cmds); err != nil {
				errs <- err
			}
		})
	}
	all.Wait()
	close(errs)
	var first error
	for err := range errs {
		if first == nil || errors.Is(first, errNotReplicated) {
			first = err
		}
	}
	return first
}

// pipe sends commands to one server, over one connection: WAIT waits for what
// was written over the same. A command for a key that is being moved away goes
// where the server says.
func (s *Store) pipe(ctx context.Context, server *redis.Client, safety safety, cmds []redis.Cmder) error {
	client := server
	if by, ok := ctx.Deadline(); ok && time.Until(by) > s.budget*5/4 {
		client = server.WithTimeout(time.Until(by)) // by itself it gives up after the budget
	}
	var unconfirmed error
	if safety == safe {
		if s.seen.Load() == nil { // just started
			if err := s.tellReplicas(ctx); err != nil {
				return err
			}
		}
		conn := client.Conn()
		defer conn.Close()
		unconfirmed = s.executeSafe(ctx, server, conn, pipelineOf(ctx, conn, cmds))
	} else if len(cmds) == 1 {
		client.Process(ctx, cmds[0])
	} else {
		execute(ctx, pipelineOf(ctx, client, cmds))
	}
	moved := false
	for _, c := range cmds {
		err := c.Err()
		if s.cluster != nil && moving(err) {
			moved = true
			err = s.cluster.Process(ctx, c)
		}
		if err != nil && !isNil(err) {
			return s.keys.named(c, err)
		}
	}
	// A command that was moved went to another node, whose replicas have not been waited
	// for. A server that is cut off lost its replicas longer ago than they are waited for.
	if safety == safe && (moved || s.cutOff.Load()) {
		return errNotReplicated
	}
	return unconfirmed
}

// pipelineOf returns a pipeline of commands.
func pipelineOf(ctx context.Context, on interface{ Pipeline() redis.Pipeliner }, cmds []redis.Cmder) redis.Pipeliner {
	p := on.Pipeline()
	for _, c := range cmds {
		p.Process(ctx, c)
	}
	return p
}

// execute runs a pipeline and makes sure that its commands carry the error. If go-redis
// gets no connection (the password was changed, say), they have neither a value nor an
// error, as if nothing were there.
func execute(ctx context.Context, p redis.Pipeliner) {
	cmds, err := p.Exec(ctx)
	if err == nil {
		return
	}
	first := slices.IndexFunc(cmds, func(c redis.Cmder) bool { return c.Err() != nil })
	if first >= 0 && errors.Is(err, cmds[first].Err()) {
		return
	}
	for _, c := range cmds {
		if c.Err() == nil {
			c.SetErr(err)
		}
	}
}

// Confirm implements store.Shared: it returns errNotReplicated if changes were
// stored that not every replica has confirmed yet. A caller that finds nothing to
// change, the token being revoked already, say, relies on them, whichever gateway has
// made them.
func (s *Store) Confirm(ctx context.Context) error {
	// WAIT waits for what was written before, if something was written over the same
	// connection. Otherwise newer servers don't wait at all.
	return s.inTurn(ctx, func() error {
		return s.sendWith(ctx, safe, redis.NewIntCmd(noContext, "hincrby", s.keys.head, "confirmed", 1))
	})
}

// orUnconfirmed returns err. If that is store.ErrNotFound, and a fail-over may yet bring
// back what isn't there, it returns an error that says so.
func (s *Store) orUnconfirmed(ctx context.Context, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return cmp.Or(s.Confirm(ctx), err)
	}
	return err
}

// reload has the slots of a Cluster looked up again.
func (s *Store) reload(ctx context.Context) {
	if s.cluster != nil {
		s.cluster.ReloadState(ctx)
	}
}
