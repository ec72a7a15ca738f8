package embedded

import (
	"errors"

	"github.com/patgate/patgate/store"
)

// asError joins what a check has found.
func asError(problems []store.Problem) error {
	var errs []error
	for _, p := range problems {
		errs = append(errs, errors.New(p.Text))
	}
	return errors.Join(errs...)
}
