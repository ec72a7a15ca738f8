package caddymodule

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/internal/spelling"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// jsonFlag adds the flag that asks for JSON instead of text for people.
func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print JSON")
}

// configFlags adds the flags that say which configuration is meant.
func configFlags(cmd *cobra.Command) (read func() (*configuration, error)) {
	file := cmd.Flags().StringP("config", "c", "", "configuration `FILE`, - for standard input (default: Caddyfile in the current directory)")
	adapter := cmd.Flags().StringP("adapter", "a", "", "`NAME` of the config adapter (default: caddyfile, unless the file is JSON)")
	return func() (*configuration, error) { return readConfiguration(*file, *adapter, cmd.InOrStdin()) }
}

// complete has shells offer words as the value of a flag.
func complete(cmd *cobra.Command, flag string, words []string) {
	// It fails only for a flag that isn't there.
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

func flagValue(cmd *cobra.Command, name string) string {
	if f := cmd.Flags().Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}

// wantArgs refuses arguments other than those named, and empty ones. A name that
// ends in ... stands for one or more. Unlike cobra's checks it doesn't repeat what
// was given, which may be a secret.
func wantArgs(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		many := len(names) > 0 && strings.HasSuffix(names[len(names)-1], "...")
		if slices.Contains(args, "") && len(names) > 0 {
			return fmt.Errorf("want %s, got an empty argument", strings.Join(names, " "))
		}
		if len(args) == len(names) || many && len(args) > len(names) {
			return nil
		}
		if len(names) == 0 {
			return fmt.Errorf("want no arguments, got %d", len(args))
		}
		return fmt.Errorf("want %s, got %s", strings.Join(names, " "), counted(len(args), "argument"))
	}
}

// checkText refuses text that JSON can't carry unchanged, and secrets: the server logs the
// URLs it is asked for, and who has made what.
func checkText(cmd *cobra.Command, args []string) (err error) {
	const secret = "has a secret in it, which would be logged (\"token verify\" tells the id of a secret)"
	for _, arg := range args {
		if !utf8.ValidString(arg) {
			return usageErrorf("an argument is not valid UTF-8")
		}
		if token.HasSecret(arg) {
			return usageErrorf("an argument " + secret)
		}
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if text := f.Value.String(); !utf8.ValidString(text) {
			err = usageErrorf("--%s: not valid UTF-8", f.Name)
		} else if token.HasSecret(text) {
			err = usageErrorf("--%s "+secret, f.Name)
		}
	})
	return err
}

// checkIDs refuses what can't be a token's id before it is sent: the server logs the URLs
// it is asked for, and what was given may be a mistyped secret.
func checkIDs(ids ...string) error {
	for _, id := range ids {
		if err := token.ValidID(id); err != nil {
			return usageErrorf("%w (\"token verify\" tells the id of a secret)", err)
		}
	}
	return nil
}

// changed returns value if the flag was given, and nil otherwise.
func changed[T any](cmd *cobra.Command, flag string, value *T) *T {
	if cmd.Flags().Changed(flag) {
		return value
	}
	return nil
}

// given returns which of the flags were given. A boolean that is false (--remove-all=false)
// counts as not given.
func given(cmd *cobra.Command, flags ...string) (names []string) {
	for _, name := range flags {
		f := cmd.Flags().Lookup(name)
		if f == nil || !f.Changed || f.Value.Type() == "bool" && f.Value.String() == "false" {
			continue
		}
		names = append(names, "--"+name)
	}
	return names
}

// notWithFull refuses flags that would narrow --full, if that was given.
func notWithFull(cmd *cobra.Command, flags ...string) error {
	if names := given(cmd, flags...); len(names) > 0 && len(given(cmd, "full")) > 0 {
		return usageErrorf("--full is everything there is: leave %s out", strings.Join(names, ", "))
	}
	return nil
}

// oneOf refuses several of these flags.
func oneOf(cmd *cobra.Command, flags ...string) error {
	if names := given(cmd, flags...); len(names) > 1 {
		return usageErrorf("%s contradict each other: give one", strings.Join(names, " and "))
	}
	return nil
}

// flagKind is a kind of text that the server parses. Text that it can never accept is bad
// usage, and is refused before the server is asked.
type flagKind struct {
	name  string
	want  string // what is said of a text that check refuses
	check func(string) error
}

var (
	aDuration = flagKind{"duration", "a duration such as 90d or 12h, of a century at most", func(s string) error {
		return registry.CheckDuration(s, 0)
	}}
	aWhile = flagKind{"duration", "a duration such as 90d or 12h, longer than 0, of a century at most", func(s string) error {
		return registry.CheckDuration(s, time.Millisecond) // times are kept in these
	}}
	aWait = flagKind{"duration", "a duration such as 2s, longer than 0, of at most " + registry.FormatDuration(maxWait), func(s string) error {
		_, err := parseWait(s)
		return err
	}}
	aTime  = flagKind{"time", "a time such as 2027-01-31T12:00:00Z or 2027-01-31", registry.CheckTime}
	aSince = flagKind{"when", "a duration such as 24h or 7d, or a time such as 2027-01-31T12:00:00Z or 2027-01-31", func(s string) error {
		_, err := registry.ParseSince(s, time.Now())
		return err
	}}
	aRange = flagKind{"range", "an address or a range such as 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32", registry.CheckRange}
	aGrant = flagKind{"number", "the number of a grant, counted from 1", func(s string) error {
		_, err := rest.GrantNumber(s)
		return err
	}}
)

// in returns the value of a flag that is kept in text.
func (k flagKind) in(text *string) pflag.Value {
	return &checkedFlag{k, func() string { return *text }, func(s string) { *text = s }}
}

// listedIn returns the value of a flag that may be repeated, kept in list.
func (k flagKind) listedIn(list *[]string) pflag.Value {
	return &checkedFlag{k, func() string { return strings.Join(*list, ", ") }, func(s string) { *list = append(*list, s) }}
}

// checkedFlag is the value of a flag of some kind.
type checkedFlag struct {
	flagKind
	get func() string
	set func(string)
}

// String implements pflag.Value.
func (f *checkedFlag) String() string { return f.get() }

// Set implements pflag.Value.
func (f *checkedFlag) Set(s string) error {
	f.set(s)
	return f.check(s)
}

// Type implements pflag.Value.
func (f *checkedFlag) Type() string { return f.name }

// onceFlag is the value of a flag that takes one, and refuses another.
type onceFlag struct {
	pflag.Value
	given bool
}

var errTwice = errors.New("given twice")

// Set implements pflag.Value.
func (f *onceFlag) Set(s string) error {
	if f.given {
		return errTwice
	}
	f.given = true
	return f.Value.Set(s)
}

// once makes a flag refuse a second value. It is for flags where it would do harm to ignore
// the first: elsewhere the last counts, so that a script can override what an alias says.
func once(f *pflag.Flag) { f.Value = &onceFlag{Value: f.Value} }

// flagError says what a flag wants where its value is none, and which one was perhaps meant
// where there is no such flag.
func flagError(cmd *cobra.Command, err error) error {
	switch unknown, ok := errors.AsType[*pflag.NotExistError](err); {
	case !ok:
	case unknown.GetSpecifiedShortnames() != "":
		return fmt.Errorf("%w; put what begins with - and is no flag, such as an id, after --: -- -%s", err, unknown.GetSpecifiedShortnames())
	default:
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		meant := spelling.Suggest(unknown.GetSpecifiedName(), names)
		return fmt.Errorf("%w%s", err, strings.Replace(meant, "mean ", "mean --", 1))
	}
	invalid, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	if errors.Is(err, errTwice) {
		return fmt.Errorf("--%s is given twice, and takes one value", invalid.GetFlag().Name)
	}
	value, want := invalid.GetFlag().Value, "a number"
	switch checked, isChecked := value.(*checkedFlag); {
	case isChecked:
		want = checked.want
	case value.Type() == "bool":
		want = "true or false"
	case errors.Is(err, strconv.ErrRange):
		want = "a smaller number"
	}
	return fmt.Errorf("--%s %q: want %s", invalid.GetFlag().Name, invalid.GetValue(), want)
}
