package checker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/freeport"
	"github.com/patgate/patgate/internal/output"
	"github.com/patgate/patgate/internal/redistest"
)

// patience bounds waiting for an answer. Only a failure takes so long.
const patience = 15 * time.Second

// bounds are those of the configuration in caddyfile. (Its ttl is longer than its
// max_stale, so that what is held too long is not just read again in time.) The feed takes
// milliseconds: the rest is for a machine that has other things to do, and still
// below the second after which a gateway notices by itself that it hears nothing.
var bounds = Bounds{Feed: 500 * time.Millisecond, Stale: 2 * time.Second, Unknown: 300 * time.Millisecond}

const caddyfile = `{
	admin %[1]s
	auto_https off
	persist_config off
	grace_period 1s
	patgate {
		store redis %[3]s
		cache {
			ttl 5s
			negative_ttl 300ms
			max_stale 2s
		}
		unknown_token_limit off
	}
}
http://%[2]s {
	patgate {
		route GET /public public
		route GET /{space}/read read
		route GET /{space}/write write
	}
	respond served
}
`

// world is three gateways, each with a proxy between it and one Redis server, or
// a Cluster with a proxy before each server, and all that happens to them.
type world struct {
	*testing.T
	seed     uint64
	began    time.Time
	servers  []*redistest.Server
	before   []*proxy // each server of a Cluster
	gateways []*gateway
	places   []*place
	owners   []*Owner
	atOdds   []Violation // gateways that don't agree, at the end

	mu       sync.Mutex
	requests []Request
	faults   []Fault
}

// gateway is a patgate process.
type gateway struct {
	number      int
	addr, admin string
	proxy       *proxy // nil in a Cluster
	command     []string
	env         []string
	log         output.Buffer

	mu      sync.Mutex
	process *exec.Cmd
	ended   chan struct{} // closed when process has
	kills   int           // odd: it is dead
}

// newWorld starts a Redis server and three gateways, each from the program at
// binary, and returns when all of them follow.
func newWorld(t *testing.T, binary string, seed uint64) *world {
	t.Helper()
	w := &world{T: t, seed: seed, began: time.Now()}
	w.servers = []*redistest.Server{redistest.Start(t, durable...)}
	w.startGateways(binary)
	return w
}

// durable has a server lose nothing that it has acknowledged.
var durable = []string{"appendonly yes", "appendfsync always"}

func (w *world) startGateways(binary string) {
	w.Helper()
	for i := range 3 {
		w.gateways = append(w.gateways, w.startGateway(binary, i))
	}
	for _, g := range w.gateways {
		redistest.Await(w, fmt.Sprintf("gateway %d to know all", g.number), func() error {
			var status struct {
				Store struct{ Gateways []struct{ Name string } }
			}
			if code, body, err := g.ask(http.DefaultClient, "GET", "/patgate/status", ""); err != nil || code != 200 {
				return fmt.Errorf("status: %d, %v", code, err)
			} else if err := json.Unmarshal(body, &status); err != nil || len(status.Store.Gateways) != len(w.gateways) {
				return fmt.Errorf("status: %s, %v", body, err)
			}
			return nil
		})
	}
}

func (w *world) random(n uint64) *rand.Rand { return rand.New(rand.NewPCG(w.seed, n)) }

func (w *world) now() Time { return time.Since(w.began) }

func (w *world) startGateway(binary string, number int) *gateway {
	w.Helper()
	g := &gateway{number: number, addr: freeport.For(w), admin: freeport.For(w)}
	store := w.cluster()
	if store == "" {
		g.proxy = newProxy(w, w.servers[0].Addr, w.random(100+uint64(number)))
		store = "redis://" + g.proxy.addr()
	}
	dir := w.TempDir()
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, fmt.Appendf(nil, caddyfile, g.admin, g.addr, store), 0o600); err != nil {
		w.Fatal(err)
	}
	g.command = []string{binary, "run", "--config", file, "--adapter", "caddyfile"}
	g.env = append(os.Environ(), beGateway+"=1", "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	w.Cleanup(func() {
		g.stop(syscall.SIGTERM)
		log := g.log.String()
		for _, bad := range []string{"DATA RACE", "panic"} {
			if i := strings.Index(log, bad); i >= 0 {
				w.Errorf("gateway %d: …%s", number, log[max(0, i-200):min(len(log), i+5000)])
			}
		}
	})
	g.start(w)
	return g
}

// start starts the process and returns when it answers.
func (g *gateway) start(w *world) {
	w.Helper()
	process, ended := exec.Command(g.command[0], g.command[1:]...), make(chan struct{})
	process.Env, process.Stdout, process.Stderr = g.env, &g.log, &g.log
	redistest.EndWithTest(process)
	if err := process.Start(); err != nil {
		w.Fatal(err)
	}
	go func() { process.Wait(); close(ended) }()
	g.mu.Lock()
	g.process, g.ended = process, ended
	g.mu.Unlock()
	redistest.Await(w, fmt.Sprintf("gateway %d", g.number), func() error {
		select {
		case <-ended:
			w.Fatalf("gateway %d has ended:\n%s", g.number, &g.log)
		default:
		}
		resp, err := http.Get("http://" + g.addr + "/public")
		if err == nil {
			resp.Body.Close()
		}
		return err
	})
}

// stop ends the process, in the end by force.
func (g *gateway) stop(signal os.Signal) {
	g.mu.Lock()
	process, ended := g.process, g.ended
	g.mu.Unlock()
	if process == nil {
		return
	}
	process.Process.Signal(signal)
	select {
	case <-ended:
	case <-time.After(patience):
		process.Process.Kill()
		<-ended
	}
}

// kill kills the process, as kill -9 does, and starts another after a while.
func (g *gateway) kill(w *world, after time.Duration) {
	g.count()
	g.stop(syscall.SIGKILL)
	time.Sleep(after)
	g.start(w)
	g.count()
}

func (g *gateway) count() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kills++
}

// life returns a number that is even while the process lives, and is another for
// each.
func (g *gateway) life() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.kills
}

// ask asks the admin endpoint.
func (g *gateway) ask(client *http.Client, method, path, body string) (status int, answer []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+g.admin+path, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// history returns all that has happened. Nothing must go on any more.
func (w *world) history() *History {
	h := &History{Bounds: bounds, Gateways: len(w.gateways), Owners: w.owners, Requests: w.requests, Faults: w.faults}
	for _, p := range w.places {
		h.Tokens = append(h.Tokens, &p.Token)
	}
	return h
}
