package caddymodule

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// An outage of hours doesn't fill the log.
func TestStoreFailedIsLoggedSeldom(t *testing.T) {
	a := newApp()
	core, lines := observer.New(zapcore.InfoLevel)
	a.logger = zap.New(core)
	synctest.Test(t, func(t *testing.T) {
		for range 3600 {
			a.storeFailed(errors.New("connection refused"))
			time.Sleep(time.Second)
		}
	})
	if n := lines.Len(); n != 60 {
		t.Errorf("an hour without the store has %d lines, want one a minute", n)
	}
}
