package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/patgate/patgate/internal/freeport"
)

var errNoRedis = errors.New("redis-server is not installed")

// redisServer is a running redis-server.
type redisServer struct {
	process
	addr    string
	version string
	client  *goredis.Client
}

// startRedis starts redis-server with lines of configuration, or returns
// errNoRedis. It keeps its files in dir.
func startRedis(ctx context.Context, dir string, lines ...string) (*redisServer, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errNoRedis
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	addr, err := freeport.Addr()
	if err != nil {
		return nil, err
	}
	lines = append([]string{"bind 127.0.0.1", "port " + addr[strings.LastIndexByte(addr, ':')+1:], "dir " + dir, `save ""`}, lines...)
	config := filepath.Join(dir, "redis.conf")
	if err := os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return nil, err
	}
	s := &redisServer{addr: addr, client: goredis.NewClient(&goredis.Options{Addr: addr, MaxRetries: -1})}
	if err := s.launch(exec.CommandContext(ctx, program, config)); err != nil {
		s.client.Close()
		return nil, err
	}
	if err := s.await(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// await waits until the server answers.
func (s *redisServer) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		var err error
		if s.version, err = s.info(ctx, "server", "redis_version"); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for it to answer: %w", err)
		case <-s.ended:
			return errors.New("it has ended")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// info returns a field of INFO.
func (s *redisServer) info(ctx context.Context, section, field string) (string, error) {
	text, err := s.client.Info(ctx, section).Result()
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("INFO %s has no %s", section, field)
}

// usedMemory returns what the server has allocated, in bytes.
func (s *redisServer) usedMemory(ctx context.Context) (int64, error) {
	text, err := s.info(ctx, "memory", "used_memory")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

func (s *redisServer) stop() {
	if s != nil {
		s.client.Close()
		s.process.stop()
	}
}

// Metrics of a gateway that are read here.
const (
	heldLookups   = `caddy_patgate_cache_lookups_total{result="known",tier="memory"}`
	missedLookups = `caddy_patgate_cache_lookups_total{result="miss",tier="memory"}`
	storeReads    = `caddy_patgate_lookup_duration_seconds_count`
)

// metrics returns the values of the gateway's metrics, by name with labels.
func (g *gateway) metrics(ctx context.Context) (map[string]float64, error) {
	body, err := g.admin(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	values := make(map[string]float64)
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		line := lines.Text()
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			if values[line[:i]], err = strconv.ParseFloat(line[i+1:], 64); err != nil {
				return nil, fmt.Errorf("reading metrics: %w", err)
			}
		}
	}
	return values, lines.Err()
}
