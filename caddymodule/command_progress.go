package caddymodule

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// showProgress says every second how far something is, if w is a terminal, until
// the function it returns is called.
func showProgress(w io.Writer, far func() string) (stop func()) {
	if !isTerminal(w) {
		return func() {}
	}
	ending, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for shown := false; ; shown = true {
			select {
			case <-time.After(time.Second):
				fmt.Fprintf(w, "\r%s", far())
			case <-ending.Done():
				if shown {
					fmt.Fprint(w, "\r\033[K")
				}
				return
			}
		}
	})
	return func() {
		end()
		running.Wait()
	}
}

func isTerminal(w io.Writer) bool {
	if out, ok := w.(*closableWriter); ok { // which run puts around standard output
		w = out.w
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// howFar adds to the error of a command that was interrupted, and can be run again, how far
// it came.
func howFar(ctx context.Context, err error, format string, args ...any) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("%w "+format+"; it can be run again: what is done already is skipped", append([]any{errInterrupted}, args...)...)
}

// interruptible returns a reader of what read writes, which fails when ctx ends: for
// callers that have something to tidy up or to say then. The read itself ends with the
// program.
func interruptible(ctx context.Context, read func(to io.Writer) error) io.ReadCloser {
	out, to := io.Pipe()
	go func() { to.CloseWithError(read(to)) }()
	context.AfterFunc(ctx, func() { to.CloseWithError(ctx.Err()) })
	return out
}
