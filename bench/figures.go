package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// newTable returns a writer that aligns what is separated by tabs.
func newTable(out io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(out, 0, 0, 3, ' ', 0) }

// span is the middle and the extremes of what the rounds have shown.
type span struct{ min, median, max float64 }

func (s span) String() string { return fmt.Sprintf("%.2f (%.2f–%.2f)", s.median, s.min, s.max) }

func spanOf[T any](rounds []T, value func(T) float64) span {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = value(r)
	}
	slices.Sort(values)
	n := len(values)
	return span{min: values[0], median: (values[(n-1)/2] + values[n/2]) / 2, max: values[n-1]}
}

func median[T any](rounds []T, value func(T) float64) float64 { return spanOf(rounds, value).median }

// ratioOf is the span of a value's ratio to that of another in the same round.
func ratioOf[T any](rounds, base []T, value func(T) float64) span {
	ratios := make([]float64, len(rounds))
	for i := range rounds {
		ratios[i] = value(rounds[i]) / value(base[i])
	}
	return spanOf(ratios, func(r float64) float64 { return r })
}

// percentile returns the smallest of the sorted times that p percent of them
// don't exceed.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[(len(sorted)*p+99)/100-1]
}

// micros is a percentile in whole microseconds.
func micros(sorted []time.Duration, p int) time.Duration {
	return percentile(sorted, p).Round(time.Microsecond)
}

// ratio compares a percentile of two sorted lists.
func ratio(a, b []time.Duration, p int) float64 {
	return float64(percentile(a, p)) / float64(percentile(b, p))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
