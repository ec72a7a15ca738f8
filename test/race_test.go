//go:build race

package test

// The binary has the race detector where the tests have it.
func init() { buildFlags = []string{"-race"} }
