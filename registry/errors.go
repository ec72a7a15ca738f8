package registry

import (
	"errors"
	"fmt"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/token"
)

// Kinds of refusal. An error of the registry that is none of them comes from the
// store.
var (
	ErrInvalid  = errors.New("invalid request") // what is asked makes no sense or is against the rules
	ErrNotFound = errors.New("not found")       // what it is asked of isn't there
	ErrConflict = errors.New("conflict")        // what is there doesn't allow it
	// ErrForbidden means that the caller may not do it, or nobody may.
	ErrForbidden = errors.New("not allowed")
)

// refusal is an error of one of the kinds, in words for whoever asked. Where it is about
// a field of what was given, it wraps a token.FieldError.
type refusal struct{ kind, err error }

func (e *refusal) Error() string   { return e.err.Error() }
func (e *refusal) Unwrap() []error { return []error{e.kind, e.err} }

// refuseField returns a refusal about a field.
func refuseField(kind error, field, format string, args ...any) error {
	return &refusal{kind, &token.FieldError{Field: field, Why: fmt.Sprintf(format, args...)}}
}

func invalid(format string, args ...any) error {
	return &refusal{ErrInvalid, fmt.Errorf(format, args...)}
}

// asInvalid makes a refusal of what package token says of a value.
func asInvalid(err error) error {
	if err == nil {
		return nil
	}
	return &refusal{ErrInvalid, err}
}

func notFound(format string, args ...any) error {
	return &refusal{ErrNotFound, fmt.Errorf(format, args...)}
}

func forbidden(format string, args ...any) error {
	return &refusal{ErrForbidden, fmt.Errorf(format, args...)}
}

func conflict(format string, args ...any) error {
	return &refusal{ErrConflict, fmt.Errorf(format, args...)}
}

// noToken turns a store's answer about the token with this id into the
// registry's. It leaves refusals as they are.
func noToken(id, doing string, err error) error { return absent("token "+id, "not found", doing, err) }

func absent(what, how, doing string, err error) error {
	_, refused := errors.AsType[*refusal](err)
	switch {
	case err == nil || refused:
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
