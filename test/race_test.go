//go:build race

package test

// raceEnabled has the binary built with the race detector, as the tests are.
const raceEnabled = true
