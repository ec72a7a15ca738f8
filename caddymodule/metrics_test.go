package caddymodule

import (
	"errors"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"github.com/patgate/patgate/store"
)

// That there is no such token is an answer of the store, and counts as none of its errors.
func TestStoreErrors(t *testing.T) {
	count := func() float64 {
		var m dto.Metric
		if err := storeErrors.Write(&m); err != nil {
			t.Fatal(err)
		}
		return m.GetCounter().GetValue()
	}
	for _, row := range []struct {
		err  error
		want float64
	}{{nil, 0}, {store.ErrNotFound, 0}, {errors.New("down"), 1}} {
		before := count()
		observeLookup(0, row.err)
		if got := count() - before; got != row.want {
			t.Errorf("a lookup that ends with %v counts as %v errors, want %v", row.err, got, row.want)
		}
	}
}
