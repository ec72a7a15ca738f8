package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// Errors of a Store. Like every error but store.ErrNotFound and store.ErrExists
// they say nothing about a token.
var (
	// errNotReplicated means that a change is made and every gateway is told of
	// it, but not every replica of the Redis server has confirmed it: should the server
	// be lost now, so may be the change.
	errNotReplicated = errors.New("the change is stored, but not every replica has confirmed it yet")
	// errLost means that Redis shows an older record than this process has seen:
	// a fail-over, or a restart without persistence, has lost a change. The
	// record is not used until it is ended or made again: see remedy.
	errLost = errors.New("redis has lost a change of this record")

	errClosed = errors.New("the token store is closed")
)

// at says where err came from. It is for methods that are given a token or an owner, or a
// few: their callers say what was being done.
func (s *Store) at(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", s.where, err)
}

// reading says what was being read when err came.
func (s *Store) reading(what string, err error) error {
	return fmt.Errorf("reading %s from %s: %w", what, s.where, err)
}

// changing says what was being done when err came.
func (s *Store) changing(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s in %s: %w", what, s.where, err)
}

// brokenError is an error that a second try may not meet: see again. The commands may have
// been carried out all the same, or may be carried out later.
type brokenError struct{ error }

func (e brokenError) Unwrap() error { return e.error }

// moving reports whether err says that a key is, or is about to be, elsewhere:
// its slot is moved, or the node isn't one of the Cluster any more.
func moving(err error) bool {
	_, moved := redis.IsMovedError(err)
	_, ask := redis.IsAskError(err)
	return moved || ask || redis.IsTryAgainError(err) || errors.Is(err, redis.ErrClosed)
}

// forbidden reports whether the redis user may not do that.
func forbidden(err error) bool {
	text := err.Error()
	return strings.Contains(text, "NOPERM") || strings.Contains(text, "The user executing the script can't") // Redis 7.0, in scripts
}

// transient reports whether a second try may not meet err: the connection had died in the
// pool, or its server isn't the master any more.
func transient(err error) bool {
	op, ofNetwork := errors.AsType[*net.OpError](err)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || ofNetwork && op.Timeout() {
		return false
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || ofNetwork ||
		redis.IsReadOnlyError(err) || moving(err)
}

// isNil reports whether err is the server's reply that there is nothing. It compares with
// ==: Sentinels that don't know the master return an error that wraps such a reply, and then
// no master was asked.
func isNil(err error) bool { return err == redis.Nil }

// plain returns err in words that help an operator. The replies that it quotes never carry
// credentials.
func plain(err error) error {
	switch {
	case err == nil || isNil(err):
		return nil
	case errors.Is(err, redis.Nil):
		return errors.New("a Sentinel knows no master of this name: " + oneLine{err}.Error())
	case strings.Contains(err.Error(), "\n"): // of several Sentinels
		return oneLine{err}
	case redis.IsOOMError(err):
		return fmt.Errorf("redis has no memory left for changes (maxmemory): %w", err)
	case strings.HasPrefix(err.Error(), "WRONGPASS"):
		return fmt.Errorf("redis refuses the user or the password; after a change of the file that it comes from, run patgate reload --force: %w", err)
	case strings.HasPrefix(err.Error(), "NOAUTH"):
		return fmt.Errorf("redis wants a password, and the configuration has none: %w", err)
	case strings.HasPrefix(err.Error(), "MISCONF"):
		return fmt.Errorf("redis can't write to its disk and takes no changes: %w", err)
	}
	return err
}

// oneLine is an error whose text is one line.
type oneLine struct{ error }

func (e oneLine) Error() string { return strings.ReplaceAll(e.error.Error(), "\n", "; ") }

func (e oneLine) Unwrap() error { return e.error }

// unheard returns err. If the server was never heard, the error asks whether only one side
// speaks TLS: that shows as silence, or as a connection that ends.
func (s *Store) unheard(err error) error {
	switch {
	case err == nil || s.heard.Load() != nil:
		return err
	case s.options.TLSConfig != nil && errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w (is that port for TLS? one that isn't gives no answer to rediss://)", err)
	case s.options.TLSConfig == nil && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		return fmt.Errorf("%w (is that port for TLS? one that is takes only rediss://, or tls in the block)", err)
	}
	return err
}

// takesNoWrites reports whether a server says that it isn't the master, or that it
// can't tell for want of replicas (min-replicas-to-write), or of other masters.
func takesNoWrites(err error) bool {
	text := err.Error()
	return redis.IsReadOnlyError(err) || strings.Contains(text, "READONLY") || strings.Contains(text, "NOREPLICAS") ||
		strings.Contains(text, "only accepts read commands") // cluster-allow-reads-when-down
}
