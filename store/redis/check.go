package redis

import (
	"context"

	"github.com/patgate/patgate/store"
)

// Check implements store.Checker.
func (s *Store) Check(ctx context.Context, repair bool) ([]store.Problem, error) { return nil, nil }
