package registry

import (
	"context"
	"fmt"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// HardlyMeant warns of ids in grants that look like several (token.LikeSeveral), and of
// scopes that no route can ask for.
func HardlyMeant(grants []token.Grant) (warnings []string) {
	for _, g := range grants {
		for _, ids := range []struct {
			noun string
			list []string
		}{{"space", g.Spaces}, {"resource", g.Resources}} {
			for _, id := range ids.list {
				if token.LikeSeveral(id) {
					warnings = append(warnings, fmt.Sprintf("%s %q is one %[1]s; to grant several, give each by itself", ids.noun, id))
				}
			}
		}
		for _, s := range g.Scopes {
			if policy.IsWord(s) {
				warnings = append(warnings, fmt.Sprintf("scope %q opens nothing: in a policy, it is no scope but a word that says what a route asks for", s))
			}
		}
	}
	return warnings
}

// Warnings says why a token that an operator has made can't do what its grants say, or
// may not be what was meant. The owner's record, which would refuse an owner, only warns
// an operator.
func (a *Account) Warnings(ctx context.Context, t *token.Token) (warnings []string) {
	if a.owner != nil {
		return nil
	}
	warnings = HardlyMeant(t.Grants)
	if t.Owner == "" {
		return warnings
	}
	o, err := a.registry.ownerRecord(ctx, t.Owner)
	if err != nil {
		return warnings // the token is there all the same, and its secret must be shown
	}
	if !o.Enabled {
		warnings = append(warnings, fmt.Sprintf("owner %q is disabled: the token doesn't work", o.ID))
	}
	if err := a.registry.withinCeiling(o, t.Grants); err != nil {
		warnings = append(warnings, err.Error())
	}
	return warnings
}
