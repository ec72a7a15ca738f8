package caddymodule

import (
	"context"
	"errors"
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
	f := fileOf(w)
	return f != nil && term.IsTerminal(int(f.Fd()))
}

// isNull reports whether what is written is thrown away. Go opens the null device in place
// of a standard output that is closed.
func isNull(w io.Writer) bool {
	f := fileOf(w)
	if f == nil {
		return false
	}
	to, err := f.Stat()
	null, nullErr := os.Stat(os.DevNull)
	return err == nil && nullErr == nil && os.SameFile(to, null)
}

// fileOf returns the file that w writes to; nil: it is none.
func fileOf(w io.Writer) *os.File {
	if out, ok := w.(*closableWriter); ok { // which run puts around standard output
		w = out.w
	}
	f, _ := w.(*os.File)
	return f
}

// showTime is showProgress of something of which only the time is known.
func showTime(w io.Writer, doing string) (stop func()) {
	begun := time.Now()
	return showProgress(w, func() string { return fmt.Sprintf("%s, %s so far", doing, time.Since(begun).Round(time.Second)) })
}

// howFar adds to the error of a command that can be run again that it can, and, if it was
// interrupted, how far it came.
func howFar(ctx context.Context, err error, format string, args ...any) error {
	const again = "; it can be run again: what is done already is skipped"
	switch {
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("%w "+format+again, append([]any{errInterrupted}, args...)...)
	case errors.As(err, new(perhapsDone)):
		return fmt.Errorf("%w"+again, err)
	}
	return err
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
