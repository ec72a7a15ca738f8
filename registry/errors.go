package registry

import (
	"errors"
	"fmt"

	"github.com/patgate/patgate/store"
)

// Kinds of refusal. An error of the registry that is none of them comes from the
// store.
var (
	ErrInvalid  = errors.New("invalid request") // what is asked makes no sense or is against the rules
	ErrNotFound = errors.New("not found")       // what it is asked of isn't there
	ErrConflict = errors.New("conflict")        // what is there doesn't allow it
	// ErrForbidden means that who asks may not do it, or nobody may.
	ErrForbidden = errors.New("not allowed")
)

// refusal is an error of one of the kinds, in words for whoever asked.
type refusal struct {
	kind error
	text string
}

func (e *refusal) Error() string { return e.text }
func (e *refusal) Unwrap() error { return e.kind }

func invalid(format string, args ...any) error {
	return &refusal{ErrInvalid, fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &refusal{ErrNotFound, fmt.Sprintf(format, args...)}
}

func forbidden(format string, args ...any) error {
	return &refusal{ErrForbidden, fmt.Sprintf(format, args...)}
}

func conflict(format string, args ...any) error {
	return &refusal{ErrConflict, fmt.Sprintf(format, args...)}
}

// noToken turns a store's answer about the token with this id into the
// registry's. It leaves refusals as they are.
func noToken(id, doing string, err error) error { return absent("token "+id, "not found", doing, err) }

func absent(what, how, doing string, err error) error {
	var refused *refusal
	switch {
	case err == nil || errors.As(err, &refused):
		return err
	case errors.Is(err, store.ErrNotFound):
		return notFound("%s: %s", what, how)
	}
	return fmt.Errorf("%s %s: %w", doing, what, err)
}

// noOwner is noToken for owners.
func noOwner(id, doing string, err error) error {
	return absent(fmt.Sprintf("owner %q", id), "has no record", doing, err)
}
