package main

import (
	"os"
	"os/exec"
	"time"
)

// process is a program that was started here and is stopped here.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// launch starts cmd. It is interrupted when its context ends, and killed if that
// doesn't help.
func (p *process) launch(cmd *exec.Cmd) error {
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.ended = cmd, make(chan struct{})
	go func() {
		cmd.Wait()
		close(p.ended)
	}()
	return nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// stop ends the process and waits until it has ended.
func (p *process) stop() {
	p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		p.cmd.Process.Kill()
		<-p.ended
	}
}
