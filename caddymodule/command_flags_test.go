package caddymodule

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// What no page can hold is refused before the server is asked.
func TestLimits(t *testing.T) {
	for _, limit := range []string{"0", "-1", "1001"} {
		want := "--limit " + limit + ": want 1 to 1000"
		if _, stderr, err := told(t, "", "token", "list", "--limit", limit); err == nil || !strings.Contains(stderr, want) {
			t.Errorf("--limit %s: %v, %q, want %q", limit, err, stderr, want)
		}
	}
}

// What is wrong with a flag is said in an operator's words.
func TestFlagErrors(t *testing.T) {
	for arg, want := range map[string]string{
		"--limit=abc":           `--limit "abc": want a number`,
		"--limit=1e30":          `--limit "1e30": want a number`,
		"--limit=" + nines:      `--limit "` + nines + `": want a smaller number`,
		"--remove=-1":           `--remove "-1": want the number of a grant, counted from 1`,
		"--remove=0":            `--remove "0": want the number of a grant, counted from 1`,
		"--remove=02":           `--remove "02": want the number of a grant, counted from 1`,
		"--remove=+1":           `--remove "+1": want the number of a grant, counted from 1`,
		"--remove=2":            "",
		"--no-expiry=maybe":     `--no-expiry "maybe": want true or false`,
		"--for=90":              `--for "90": want a duration such as 90d or 12h, of a century at most`,
		"--for=9999999d":        `--for "9999999d": want a duration such as 90d or 12h, of a century at most`,
		"--for=-1h":             `--for "-1h": want a duration such as 90d or 12h, of a century at most`,
		"--for=0":               "",
		"--for=1d12h":           "",
		"--within=0":            `--within "0": want a duration such as 90d or 12h, longer than 0, of a century at most`,
		"--within=14d":          "",
		"--wait=0":              `--wait "0": want a duration such as 2s, longer than 0, of at most 1m`,
		"--wait=1h":             `--wait "1h": want a duration such as 2s, longer than 0, of at most 1m`,
		"--wait=":               `--wait "": want a duration such as 2s, longer than 0, of at most 1m`,
		"--wait=1m":             "",
		"--at=2027-02-30":       `--at "2027-02-30": want a time such as 2027-01-31T12:00:00Z or 2027-01-31`,
		"--at=2027-02-28":       "",
		"--from=bogus":          `--from "bogus": want an address or a range such as 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32`,
		"--from=10.0.0.0/8,::1": `--from "10.0.0.0/8,::1": want an address or a range such as 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32`,
		"--from=10.0.0.0/8":     "",
		"--no-such=1":           "unknown flag: --no-such",
		"--limt=1":              "unknown flag: --limt; did you mean --limit?",
		"-x":                    "unknown shorthand flag: 'x' in -x; put what begins with - and is no flag, such as an id, after --: -- -x",
		"--limit":               "flag needs an argument: --limit",
		"--limit=1":             "",

		"--owner=alice --owner=bob": "--owner is given twice, and takes one value",
		"--owner=alice":             "",
	} {
		cmd := &cobra.Command{Use: "patgate", RunE: run(func(*cobra.Command, []string) error { return nil })}
		cmd.Flags().Int("limit", 0, "")
		cmd.Flags().Var(aGrant.in(new(string)), "remove", "")
		cmd.Flags().Var(aDuration.in(new(string)), "for", "")
		cmd.Flags().Var(aWhile.in(new(string)), "within", "")
		cmd.Flags().Var(aWait.in(new(string)), "wait", "")
		cmd.Flags().Var(aTime.in(new(string)), "at", "")
		cmd.Flags().Var(aRange.listedIn(new([]string)), "from", "")
		cmd.Flags().Bool("no-expiry", false, "")
		cmd.Flags().String("owner", "", "")
		once(cmd.Flags().Lookup("owner"))
		adopt(cmd)
		var out strings.Builder
		cmd.SetErr(&out)
		cmd.SetArgs(strings.Fields(arg))
		_ = cmd.Execute()
		if want != "" {
			want = "patgate: " + want + " (see patgate --help)\n"
		}
		if out.String() != want {
			t.Errorf("%s: %q, want %q", arg, out.String(), want)
		}
	}
}

const nines = "99999999999999999999"
