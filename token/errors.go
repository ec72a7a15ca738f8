package token

import "fmt"

// FieldError says what is wrong with a field of a record, or of a request to make one.
// It may be wrapped in an error that says where the field is.
type FieldError struct {
	Field string // as in JSON; scope is one of a grant's scopes
	Why   string // what is wrong, for those who see which field it is
	Whole bool   // the error is Why alone, and not "field: why"
}

func (e *FieldError) Error() string {
	if e.Whole {
		return e.Why
	}
	return e.Field + ": " + e.Why
}

func fieldError(field, format string, args ...any) error {
	return &FieldError{Field: field, Why: fmt.Sprintf(format, args...)}
}

// ScopeError returns a FieldError about this scope.
func ScopeError(scope, format string, args ...any) error {
	return &FieldError{Field: "scope", Why: fmt.Sprintf("scope %q: ", scope) + fmt.Sprintf(format, args...), Whole: true}
}
