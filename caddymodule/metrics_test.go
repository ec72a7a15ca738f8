package caddymodule

import (
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/patgate/patgate/policy"
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

// Only a request that is forwarded counts as that: what is reported or cut has another reason.
func TestReasonsCounted(t *testing.T) {
	all := len(policy.Reasons())
	for _, row := range []struct {
		name string
		vec  *prometheus.CounterVec
		want int
	}{{"requests", requestsVec, all}, {"reported", reportedVec, all - 1}, {"streams cut", streamsCutVec, all - 1}} {
		series := make(chan prometheus.Metric, all+1)
		row.vec.Collect(series)
		if len(series) != row.want {
			t.Errorf("%s: %d series, want %d", row.name, len(series), row.want)
		}
	}
}
