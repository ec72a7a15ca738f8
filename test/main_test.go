// Package test drives the built binary from outside, as an operator, a client
// and an attacker would: patgate run with a Caddyfile, raw connections to it, an
// upstream that records every byte it gets, and what comes out in answers, logs
// and metrics.
//
// What the tests stand on: gateway_test.go starts a gateway, admin_test.go asks its admin
// endpoint, client_test.go, client_http2_test.go and client_http3_test.go send requests,
// secure_test.go has a gateway that speaks all versions of HTTP, and upstream_test.go and
// streamer_test.go are APIs.
package test

import (
	"os"
	"testing"

	"github.com/patgate/patgate/internal/testbinary"
)

// binary is the built patgate.
var binary string

// buildFlags are for go build, which builds it.
var buildFlags []string

func TestMain(m *testing.M) { os.Exit(testbinary.Run(m, &binary, buildFlags...)) }
