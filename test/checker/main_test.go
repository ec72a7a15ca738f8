package checker

import (
	"cmp"
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/caddymodule"
)

var (
	seed = flag.Uint64("seed", 0, "what is random in TestHistories begins with; 0: with something new")
	soak = flag.Duration("soak", 0, "how long TestHistories goes on, and TestHistoriesInCluster, which needs it; 0: 20s")
)

// beGateway has the test binary be patgate itself.
const beGateway = "PATGATE_TEST_BE_GATEWAY"

func TestMain(m *testing.M) {
	if os.Getenv(beGateway) != "" {
		caddy.CustomBinaryName = "patgate"
		caddymodule.RegisterCommands()
		caddycmd.Main()
		return
	}
	redis.SetLogger(silent{}) // it writes to standard error when the server is down, which here it is meant to be
	os.Exit(m.Run())
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// seedOf returns what is random in a test begins with, and says how to run it again.
func seedOf(t *testing.T) uint64 {
	s := cmp.Or(*seed, rand.Uint64())
	t.Logf("seed %d: go test ./test/checker -run '^%s$' -soak %v -seed %[1]d", s, t.Name(), *soak)
	return s
}
