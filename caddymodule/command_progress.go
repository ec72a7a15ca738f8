package caddymodule

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// showProgress says every second how far something is, if w is a terminal, until
// the function it returns is called.
func showProgress(w io.Writer, far func() string) (stop func()) {
	if f, ok := w.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		return func() {}
	}
	ticker := time.NewTicker(time.Second)
	ending, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		shown := false
		for {
			select {
			case <-ticker.C:
				fmt.Fprintf(w, "\r%s", far())
				shown = true
			case <-ending:
				if shown {
					fmt.Fprint(w, "\r\033[K")
				}
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(ending)
		<-ended
	}
}

// howFar says, of an err that comes of an interruption, how far a command came
// that can be run again.
func howFar(ctx context.Context, err error, format string, args ...any) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("%w "+format+"; it can be run again: what is done already is skipped", append([]any{errInterrupted}, args...)...)
}

// interruptible returns what read writes until ctx ends, for what has something to
// tidy up or to say then. The read itself ends with the program.
func interruptible(ctx context.Context, read func(to io.Writer) error) io.ReadCloser {
	out, to := io.Pipe()
	go func() { to.CloseWithError(read(to)) }()
	context.AfterFunc(ctx, func() { to.CloseWithError(ctx.Err()) })
	return out
}
