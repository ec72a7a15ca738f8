package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/patgate/patgate/internal/output"
)

// process is a program that was started here and is stopped here.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	log   output.Buffer // what it has to say
}

// interruptible has cmd interrupted when its context ends, so that it can tidy up,
// and killed if that doesn't help.
func interruptible(cmd *exec.Cmd) *exec.Cmd {
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// launch starts cmd, which is interruptible.
func (p *process) launch(cmd *exec.Cmd) error {
	if err := interruptible(cmd).Start(); err != nil {
		return err
	}
	p.cmd, p.ended = cmd, make(chan struct{})
	go func() {
		cmd.Wait()
		close(p.ended)
	}()
	return nil
}

// start launches cmd and waits until it is ready.
func (p *process) start(ctx context.Context, cmd *exec.Cmd, ready func(context.Context) error) error {
	cmd.Stdout, cmd.Stderr = &p.log, &p.log
	if err := p.launch(cmd); err != nil {
		return err
	}
	if err := p.await(ctx, ready); err != nil {
		p.stop()
		return fmt.Errorf("%w\n%s", err, &p.log)
	}
	return nil
}

// await asks until the process is ready, or has ended, or half a minute is over.
func (p *process) await(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until it is ready: %w", err)
		case <-p.ended:
			return errors.New("it has ended")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process and waits until it has ended. It may be called again.
func (p *process) stop() {
	p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		p.cmd.Process.Kill()
		<-p.ended
	}
}

// roleVar is the environment variable that has this program serve in a role: it is
// the role's name, and what that needs, separated by blanks.
const roleVar = "PATGATE_BENCH_ROLE"

// roles are what this program serves as when it is started again.
var roles = map[string]func(l net.Listener, args []string){
	"upstream": serveUpstream,
	"echo":     serveEcho,
	"authz":    serveAuthz,
}

// service is this program, started again in a role.
type service struct {
	process
	addr  string
	input io.Closer
}

// startService starts this program again and reads its address.
func startService(ctx context.Context, role ...string) (*service, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), roleVar+"="+strings.Join(role, " "))
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s := &service{input: input}
	if err := s.launch(cmd); err != nil {
		return nil, err
	}
	addr, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("reading its address: %w", err)
	}
	s.addr = strings.TrimSpace(addr)
	return s, nil
}

func (s *service) stop() {
	s.input.Close()
	s.process.stop()
}

// serveRole serves, where this program was started again for that: it prints its
// address, and ends when its standard input does.
func serveRole() bool {
	role := strings.Fields(os.Getenv(roleVar))
	if len(role) == 0 {
		return false
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", role[0], err)
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	go roles[role[0]](l, role[1:])
	io.Copy(io.Discard, os.Stdin)
	return true
}
