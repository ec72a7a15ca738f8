package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

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
	if dir, err = os.MkdirTemp(dir, "redis-"); err != nil {
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
	if err := s.start(ctx, exec.CommandContext(ctx, program, config), func(ctx context.Context) (err error) {
		s.version, err = s.info(ctx, "server", "redis_version")
		return err
	}); err != nil {
		s.client.Close()
		return nil, err
	}
	return s, nil
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

// number returns a field of INFO that is a number.
func (s *redisServer) number(ctx context.Context, section, field string) (float64, error) {
	text, err := s.info(ctx, section, field)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(text, 64)
}

// usedMemory returns what the server has allocated, in bytes.
func (s *redisServer) usedMemory(ctx context.Context) (float64, error) {
	return s.number(ctx, "memory", "used_memory")
}

func (s *redisServer) stop() {
	s.client.Close()
	s.process.stop()
}
