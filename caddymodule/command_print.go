package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/token"
)

// counted writes a number with its noun.
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// shortened cuts what is too long for a column of a table.
func shortened(s string) string {
	const width = 60
	if words := []rune(s); len(words) > width {
		return string(words[:width-1]) + "…"
	}
	return s
}

// printAnswer prints what a command answers: as JSON, or else as show does.
func printAnswer[T any](cmd *cobra.Command, asJSON bool, answer T, show func(w io.Writer, answer T)) error {
	if asJSON {
		return rest.Print(cmd.OutOrStdout(), answer)
	}
	w := bufio.NewWriter(cmd.OutOrStdout())
	show(w, answer)
	return w.Flush()
}

// newTable returns a writer that aligns what is separated by tabs.
func newTable(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
}

// distance writes how far t is from now, in the largest unit that is exact
// enough: in 89 days, 3 hours ago.
func distance(t, now time.Time) string {
	const day = 24 * time.Hour
	var words string
	switch d := t.Sub(now).Abs().Round(time.Second); {
	case d < time.Second:
		return "now"
	case d < 2*time.Minute:
		words = counted(int(d/time.Second), "second")
	case d < 2*time.Hour:
		words = counted(int(d.Round(time.Minute)/time.Minute), "minute")
	case d < 2*day:
		words = counted(int(d.Round(time.Hour)/time.Hour), "hour")
	default: // by the clock: a Duration ends after 292 years
		seconds := t.Unix() - now.Unix()
		words = counted(int((max(seconds, -seconds)+12*60*60)/(24*60*60)), "day")
	}
	if t.Before(now) {
		return words + " ago"
	}
	return "in " + words
}

// away is distance; never where there is no time.
func away(t *time.Time, now time.Time) string {
	if t == nil {
		return "never"
	}
	return distance(*t, now)
}

// moment writes a time and how far it is from now; never where there is none.
func moment(t *time.Time, now time.Time) string {
	if t == nil {
		return "never"
	}
	return fmt.Sprintf("%s (%s)", t.UTC().Format(time.DateTime+" MST"), distance(*t, now))
}

// grantWords writes a grant: stories:read in spaces 1, 2 on resource 5.
func grantWords(g token.Grant) string {
	if token.EqualGrant(g, token.Full()) {
		return "everything"
	}
	words := "no scope"
	switch {
	case slices.Contains(g.Scopes, token.All):
		words = "every scope"
	case len(g.Scopes) > 0:
		words = strings.Join(g.Scopes, " ")
	}
	words += " in " + listWords("space", g.Spaces)
	if !slices.Contains(g.Resources, token.All) {
		words += " on " + listWords("resource", g.Resources)
	}
	return words
}

func listWords(noun string, list []string) string {
	switch {
	case slices.Contains(list, token.All):
		return "all " + noun + "s"
	case len(list) == 1:
		noun += " "
	default:
		noun += "s "
	}
	return noun + joinIDs(list)
}

// joinIDs writes ids as a list for people. One that looks like several is quoted.
func joinIDs(ids []string) string {
	shown := slices.Clone(ids)
	for i, id := range ids {
		if token.LikeSeveral(id) || strings.Contains(id, `"`) {
			shown[i] = strconv.Quote(id)
		}
	}
	return strings.Join(shown, ", ")
}

// grantsWords writes all grants, on one line.
func grantsWords(grants []token.Grant) string {
	if len(grants) == 0 {
		return "none"
	}
	words := make([]string, len(grants))
	for i, g := range grants {
		words[i] = grantWords(g)
	}
	return strings.Join(words, " and ")
}

// grantsShort writes the first of the grants, and how many more there are.
func grantsShort(grants []token.Grant) string {
	if len(grants) == 0 {
		return "none"
	}
	words := shortened(grantWords(grants[0]))
	if len(grants) > 1 {
		words += fmt.Sprintf(", and %d more", len(grants)-1)
	}
	return words
}

// field is a line of a sheet.
type field struct{ name, value string }

// grantFields are the lines of a sheet with the grants, numbered as --remove
// wants it.
func grantFields(grants []token.Grant) []field {
	if len(grants) == 0 {
		return []field{{"grants", "none"}}
	}
	fields := make([]field, len(grants))
	for i, g := range grants {
		fields[i] = field{fmt.Sprintf("grant %d", i+1), grantWords(g)}
	}
	return fields
}

// printSheet prints fields one below the other, without those that are empty.
func printSheet(w io.Writer, fields []field) {
	table := newTable(w)
	for _, f := range fields {
		if f.value != "" {
			fmt.Fprintf(table, "%s\t%s\n", f.name, f.value)
		}
	}
	table.Flush() // w keeps its error
}

// printToken prints a token as a sheet.
func printToken(w io.Writer, t token.View) {
	now := time.Now()
	addresses := "everywhere"
	if len(t.AllowedIPs) > 0 {
		addresses = strings.Trim(fmt.Sprint(t.AllowedIPs), "[]")
	}
	used := moment(t.LastUsedAt, now)
	if t.LastUsedIP != nil {
		used += " from " + t.LastUsedIP.String()
	}
	fields := []field{
		{"id", t.ID}, {"name", t.Name}, {"description", t.Description}, {"owner", t.Owner},
		{"status", string(t.Status)}, {"hint", t.Hint},
	}
	fields = append(fields, grantFields(t.Grants)...)
	fields = append(fields,
		field{"usable from", addresses},
		field{"created", moment(&t.CreatedAt, now)}, field{"created by", t.CreatedBy})
	if t.RegeneratedAt != nil {
		fields = append(fields, field{"regenerated", moment(t.RegeneratedAt, now)})
	}
	if t.ReplacedUntil != nil {
		fields = append(fields, field{"secret before", "works until " + moment(t.ReplacedUntil, now)})
	}
	fields = append(fields,
		field{"expires", moment(t.ExpiresAt, now)})
	if t.RevokedAt != nil {
		fields = append(fields, field{"revoked", moment(t.RevokedAt, now)})
	}
	printSheet(w, append(fields, field{"last used", used}))
}

// printOwner prints an owner as a sheet.
func printOwner(w io.Writer, o token.Owner) {
	now := time.Now()
	most := "any number"
	if o.MaxTokens > 0 {
		most = "at most " + strconv.Itoa(o.MaxTokens)
	}
	fields := []field{
		{"id", o.ID}, {"enabled", yesNo(o.Enabled)}, {"admin", yesNo(o.Admin)}, {"may make tokens", yesNo(o.MayCreate)}, {"tokens", most},
	}
	fields = append(fields, grantFields(o.Grants)...)
	printSheet(w, append(fields, field{"created", moment(&o.CreatedAt, now)}, field{"changed", moment(&o.UpdatedAt, now)}))
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
