package registry

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/patgate/patgate/token"
)

// tokenChanges returns the differences between two states of a token, its secret aside;
// before is nil for a new one.
func tokenChanges(before, after *token.Token) (changes fieldChanges) {
	if before == nil {
		before = new(token.Token)
		changes.add("grants", "", describe(after.Grants))
		changes.add("expires_at", "", moment(after.ExpiresAt))
	} else {
		changes.add("name", before.Name, after.Name)
		changes.add("description", before.Description, after.Description)
		changes.add("grants", describe(before.Grants), describe(after.Grants))
		changes.add("expires_at", moment(before.ExpiresAt), moment(after.ExpiresAt))
	}
	changes.add("allowed_ips", ranges(before), ranges(after))
	changes.add("revoked_at", since(before.RevokedAt), since(after.RevokedAt))
	return changes
}

// ownerChanges is tokenChanges for owners' records.
func ownerChanges(before, after *token.Owner) (changes fieldChanges) {
	changes.add("enabled", strconv.FormatBool(before.Enabled), strconv.FormatBool(after.Enabled))
	changes.add("admin", strconv.FormatBool(before.Admin), strconv.FormatBool(after.Admin))
	changes.add("may_create", strconv.FormatBool(before.MayCreate), strconv.FormatBool(after.MayCreate))
	changes.add("max_tokens", strconv.Itoa(before.MaxTokens), strconv.Itoa(after.MaxTokens))
	changes.add("grants", describe(before.Grants), describe(after.Grants))
	return changes
}

type fieldChanges []FieldChange

func (c *fieldChanges) add(field, before, after string) {
	if before != after {
		*c = append(*c, FieldChange{Field: field, Before: shortened(before), After: shortened(after)})
	}
}

// maxWords bounds what an event says of one field, in bytes.
const maxWords = 1000

func shortened(s string) string {
	if len(s) > maxWords {
		return strings.ToValidUTF8(s[:maxWords], "") + "…"
	}
	return s
}

// describe writes grants for an event.
func describe(grants []token.Grant) string {
	if len(grants) == 0 {
		return "none"
	}
	b, _ := json.Marshal(token.ViewGrants(grants)) // strings only: never fails
	return string(b)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

func since(t time.Time) string {
	if t.IsZero() {
		return "" // not at all
	}
	return moment(t)
}

func ranges(t *token.Token) string {
	if len(t.AllowedIPs) == 0 {
		return "everywhere"
	}
	words := make([]string, len(t.AllowedIPs))
	for i, p := range t.AllowedIPs {
		words[i] = p.String()
	}
	return strings.Join(words, " ")
}
