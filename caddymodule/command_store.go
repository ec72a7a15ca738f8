package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/store/embedded"
	"github.com/patgate/patgate/store/redis"
)

func storeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "Check a token store, back it up, or copy one to another",
	}
	cmd.AddCommand(storeCheckCommand(), storeBackupCommand(), storeCopyCommand())
	return cmd
}

func storeCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check [--repair]",
		Short: "Look for what a crash or a lost write has left at odds",
		Long: `Lets the running server compare the records in its store with their indexes, and
with --repair fix differences. If Redis has lost a record, it says what to do. No
such difference makes the gate decide wrongly: what a token may do is in its record
alone. Exit status 1 means that problems are left.`,
		Example: `  patgate store check
  patgate store check --repair --json`,
		Args: wantArgs(),
	}
	repair := cmd.Flags().Bool("repair", false, "fix what is found")
	return askingCommand(cmd, func(a *asking, _ []string) error {
		checked := showTime(cmd.ErrOrStderr(), "checking")
		var r checkResult
		err := a.call(a.ctx(), http.MethodPost, apiPath("store", "check"), storeCheck{*repair}, &r)
		checked()
		if done, is := errors.AsType[perhapsDone](err); is && !*repair {
			err = done.error // nothing is done
		}
		if err != nil {
			return err
		}
		return cmp.Or(printAnswer(cmd, a.json, r, printProblems), problemsLeft(r.Problems, *repair))
	})
}

// problemsLeft returns an error if there are problems that weren't mended.
func problemsLeft(problems []store.Problem, repair bool) error {
	left, mendable := 0, false
	for _, p := range problems {
		if !p.Mended {
			left++
			mendable = mendable || p.Mendable
		}
	}
	switch {
	case left == 0:
		return nil
	case repair || !mendable:
		return fmt.Errorf("%s left, which --repair can't mend", counted(left, "problem"))
	}
	return fmt.Errorf("%s left; --repair mends what can be", counted(left, "problem"))
}

func printProblems(w io.Writer, r checkResult) {
	mended := 0
	for _, p := range r.Problems {
		state := "found"
		if p.Mended {
			state = "mended"
			mended++
		}
		fmt.Fprintf(w, "%s: %s\n", state, p.Text)
	}
	fmt.Fprintf(w, "%s, %d mended\n", counted(len(r.Problems), "problem"), mended)
}

func storeBackupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the embedded store of the running server to a file",
		Long: `Makes a consistent copy of the embedded store's file while the server runs: tokens,
owners' records, the audit trail and last uses. The copy is verified before it gets
its name, and replaces no other file.

To restore it, stop the server, put the file in place of the store's, owned by the
user that the server runs as, and start the server.`,
		Example: `  patgate store backup /var/backups/patgate-2026-11-22.db
  patgate store copy --from embedded:/var/backups/patgate-2026-11-22.db --to redis://10.0.0.5`,
		Args: wantArgs("FILE"),
	}
	return askingCommand(cmd, func(a *asking, args []string) error {
		if args[0] == "-" {
			return usageErrorf("a backup is looked over before it gets its name, and so goes to a file: name one, ./- if need be")
		}
		status, err := a.backUp(args[0])
		if err != nil {
			return err
		}
		backup := map[string]any{"file": args[0], "tokens": status.Tokens, "owners": status.Owners}
		return printAnswer(a.cmd, a.json, backup, func(w io.Writer, _ map[string]any) {
			fmt.Fprintf(w, "%s and %s are in %s\n", counted(status.Tokens, "token"), counted(status.Owners, "owner"), args[0])
		})
	})
}

// backUp has the running server's store copied to a file, and says what is in it.
func (a *asking) backUp(file string) (status store.Status, err error) {
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return status, cmp.Or(err, fmt.Errorf("%s is there already: name a file that isn't", file))
	}
	to, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".part-*")
	if err != nil {
		return status, fmt.Errorf("making the backup: %w", err)
	}
	defer os.Remove(to.Name())
	defer to.Close()
	defer context.AfterFunc(a.ctx(), func() { to.Close() })() // which ends the copying
	resp, err := a.send(a.ctx(), http.MethodGet, apiPath("store", "backup"), nil)
	if err != nil {
		return status, err
	}
	defer resp.Body.Close()
	out := &countingWriter{w: to}
	copied := showProgress(a.cmd.ErrOrStderr(), func() string { return fmt.Sprintf("%d MB", out.n.Load()>>20) })
	_, err = io.Copy(out, resp.Body)
	copied()
	if err = cmp.Or(a.ctx().Err(), err); err == nil {
		err = to.Sync()
	}
	if err != nil {
		return status, fmt.Errorf("making the backup: %w", err)
	}
	checked := showTime(a.cmd.ErrOrStderr(), "checking")
	status, err = lookOver(a.ctx(), to.Name())
	checked()
	if err != nil {
		return status, err
	}
	if err := give(to, file, os.Link); err != nil {
		return status, fmt.Errorf("making the backup: %w", err)
	}
	return status, nil
}

// give puts what is in from into a file of this name, and replaces none: another process
// may have been faster. Where link can't do it, for not every file system has hard links,
// the file is a copy.
func give(from *os.File, name string, link func(from, to string) error) (err error) {
	if err = link(from.Name(), name); err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	to, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = from.Seek(0, io.SeekStart); err == nil {
		_, err = io.Copy(to, from)
	}
	if err == nil {
		err = to.Sync()
	}
	if err = errors.Join(err, to.Close()); err != nil {
		os.Remove(name) // half a backup is none
	}
	return err
}

// lookOver opens a copy of an embedded store and checks it.
func lookOver(ctx context.Context, file string) (status store.Status, err error) {
	s, err := embedded.Open(file)
	if err != nil {
		return status, fmt.Errorf("the server's answer is no token store: %w", err)
	}
	defer s.Close()
	problems, err := s.Check(ctx, false)
	if err == nil && len(problems) > 0 {
		err = fmt.Errorf("the store is damaged: %s; \"patgate store check\" says all there is", problems[0].Text)
	}
	if err != nil {
		return status, err
	}
	return s.Status(ctx)
}

func storeCopyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "copy --from STORE --to STORE",
		Short: "Copy every token, owner and event from one store to another",
		Long: `Copies every token and owner to an empty store, verifies by count and digest that
all of them are there, and then copies the audit trail. An interrupted copy can be
run again: what is already there is left alone.

A STORE is embedded:<file>, a redis://, rediss:// or unix:// URL, or config:<file>
for the store of a configuration file. Write a password as a placeholder:
redis://:{env.REDIS_PASSWORD}@host.

Stop the server that uses an embedded file, and all gateways that use a Redis: if
tokens or owners are changed during the copy, it fails. If there is a pepper, the
server of the new store needs the same one.`,
		Example: `  patgate store copy --from embedded:/var/lib/caddy/patgate/tokens.db --to redis://10.0.0.5
  patgate store copy --from config:Caddyfile --to embedded:backup.db`,
		Args: wantArgs(),
	}
	from := cmd.Flags().String("from", "", "the `STORE` to copy")
	to := cmd.Flags().String("to", "", "the `STORE` to copy it to")
	asJSON := jsonFlag(cmd)
	cmd.RunE = run(func(cmd *cobra.Command, _ []string) (err error) {
		if *from == "" || *to == "" {
			return usageErrorf("want --from STORE and --to STORE")
		}
		source, err := namedStore("--from", *from)
		if err != nil {
			return err
		}
		target, err := namedStore("--to", *to)
		if err != nil {
			return err
		}
		if source.key == target.key {
			return usageErrorf("--from and --to are the same store")
		}
		copied, err := copyStore(cmd.Context(), source, target, cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		return printAnswer(cmd, *asJSON, copied, func(w io.Writer, c store.Copied) {
			fmt.Fprintf(w, "%s and %s are there, %d of them new; %s added; digest %s\n",
				counted(c.Tokens, "token"), counted(c.Owners, "owner"), c.Written, counted(c.Events, "event"), c.Digest)
		})
	})
	return cmd
}

// copyBudget is how long a step of a copy may take: no request waits for it, and
// who copies a large store rather waits than begins anew.
const copyBudget = Duration(10 * time.Second)

// namedStore returns the store that a flag names.
func namedStore(flag, name string) (source, error) {
	kind, rest, _ := strings.Cut(name, ":")
	var c StoreConfig
	switch kind {
	case "embedded":
		c = StoreConfig{Kind: "embedded", File: rest}
		if rest == "" {
			return source{}, usageErrorf("%s %s: want embedded:<file>", flag, name)
		}
	case "redis", "rediss", "unix":
		c = StoreConfig{Kind: "redis", Redis: &RedisConfig{Options: redis.Options{URL: name}}}
	case "config":
		read, err := readConfiguration(rest, "", os.Stdin)
		if err != nil {
			return source{}, err
		}
		c = read.app.Store
	default:
		return source{}, usageErrorf("%s: want embedded:<file>, a redis://, rediss:// or unix:// URL, or config:<file>", flag)
	}
	if c.Redis != nil {
		c.Redis.Budget = max(c.Redis.Budget, copyBudget)
		c.Redis.Logger = slog.New(slog.DiscardHandler) // what fails, the command says itself
	}
	s, err := c.source()
	if err == nil && flag == "--from" && s.file != "" {
		_, err = os.Stat(s.file) // opening it would make it
	}
	if err != nil {
		return source{}, fmt.Errorf("%s: %w", flag, err)
	}
	return s, nil
}

// copyStore copies one store to another and says on w how far it is.
func copyStore(ctx context.Context, source, target source, w io.Writer) (copied store.Copied, err error) {
	from, err := source.open()
	if err != nil {
		return copied, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if _, err := from.Status(ctx); err != nil { // before opening the target makes it
		return copied, fmt.Errorf("reading the source: %w", err)
	}
	to, err := target.open()
	if err != nil {
		return copied, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	var far atomic.Int64
	defer showProgress(w, func() string { return fmt.Sprintf("%d records", far.Load()) })()
	if s, ok := from.(*embedded.Store); ok {
		s.Preload(ctx)
	}
	copied, err = store.Copy(ctx, from, to, func(records int) { far.Store(int64(records)) })
	return copied, howFar(ctx, err, "after %s", counted(int(far.Load()), "record"))
}
