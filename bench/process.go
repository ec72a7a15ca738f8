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
