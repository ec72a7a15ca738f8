package caddymodule

import (
	"cmp"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

func listTokens(c *adminCall) (any, error) {
	q, err := rest.TokenQuery(c.params)
	if err != nil {
		return nil, err
	}
	tokens, next, err := c.registry.List(c.r.Context(), q)
	if err != nil {
		return nil, err
	}
	return rest.NewTokenPage(tokens, next, c.registry.View), nil
}

func createToken(c *adminCall) (any, error) {
	var n registry.NewToken
	if err := c.decode(&n, false); err != nil {
		return nil, err
	}
	t, secret, err := c.registry.Create(c.r.Context(), c.by, n)
	if err != nil {
		return nil, err
	}
	c.status = http.StatusCreated
	c.w.Header().Set("Location", "/patgate/tokens/"+t.ID)
	return rest.TokenSecret{Token: c.registry.View(t), Secret: secret}, nil
}

func showToken(c *adminCall) (any, error) {
	return c.view(c.registry.Get(c.r.Context(), c.r.PathValue("id")))
}

// view is the answer with a token.
func (c *adminCall) view(t *token.Token, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return c.registry.View(t), nil
}

func updateToken(c *adminCall) (any, error) {
	var changes registry.Changes
	if err := c.decode(&changes, false); err != nil {
		return nil, err
	}
	return c.view(c.registry.Update(c.r.Context(), c.by, c.r.PathValue("id"), changes))
}

func regenerateToken(c *adminCall) (any, error) {
	var n registry.Renewal
	if err := c.decode(&n, true); err != nil {
		return nil, err
	}
	t, secret, err := c.registry.Regenerate(c.r.Context(), c.by, c.r.PathValue("id"), n)
	if err != nil {
		return nil, err
	}
	return rest.TokenSecret{Token: c.registry.View(t), Secret: secret}, nil
}

func addGrant(c *adminCall) (any, error) {
	var g token.Grant
	if err := c.decode(&g, false); err != nil {
		return nil, err
	}
	return c.view(c.registry.AddGrant(c.r.Context(), c.by, c.r.PathValue("id"), g))
}

func removeGrant(c *adminCall) (any, error) {
	if err := c.noBody(); err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(c.r.PathValue("n"))
	if err != nil {
		return nil, problem(http.StatusBadRequest, "grant %q: want its number, counted from 1", c.r.PathValue("n"))
	}
	return c.view(c.registry.RemoveGrant(c.r.Context(), c.by, c.r.PathValue("id"), n))
}

func removeAllGrants(c *adminCall) (any, error) {
	if err := c.noBody(); err != nil {
		return nil, err
	}
	return c.view(c.registry.RemoveAllGrants(c.r.Context(), c.by, c.r.PathValue("id")))
}

func verifySecret(c *adminCall) (any, error) {
	var in struct {
		Secret string `json:"secret"`
	}
	if err := c.decode(&in, false); err != nil {
		return nil, err
	}
	if in.Secret == "" {
		return nil, problem(http.StatusBadRequest, "secret: missing")
	}
	return c.view(c.registry.Verify(c.r.Context(), in.Secret))
}

func revokeToken(c *adminCall) (any, error) {
	if err := c.noBody(); err != nil {
		return nil, err
	}
	return c.revoked(c.registry.Revoke(c.r.Context(), c.by, c.r.PathValue("id")))
}

// revokeTokens revokes several tokens: those of an owner, or those with the ids
// given, all of which must be there.
func revokeTokens(c *adminCall) (any, error) {
	var chosen rest.Chosen
	if err := c.decode(&chosen, false); err != nil {
		return nil, err
	}
	if err := chosen.Check("owner or ids"); err != nil {
		return nil, err
	}
	if chosen.Owner != nil {
		return c.revoked(c.registry.RevokeOwner(c.r.Context(), c.by, *chosen.Owner))
	}
	return c.revoked(c.registry.Revoke(c.r.Context(), c.by, chosen.IDs...))
}

// revoked is the answer to a revocation.
func (c *adminCall) revoked(ids []string, err error) (any, error) {
	if err != nil {
		return nil, c.problemOf(err).HalfDone("revoked", ids)
	}
	return rest.NewRevocation(ids, c.acknowledged()), nil
}

func deleteToken(c *adminCall) (any, error) {
	if err := c.noBody(); err != nil {
		return nil, err
	}
	return c.deleted(c.registry.Delete(c.r.Context(), c.by, c.r.PathValue("id")))
}

// deleteTokens deletes several tokens, chosen as in revokeTokens.
func deleteTokens(c *adminCall) (any, error) {
	if err := c.noBody(); err != nil {
		return nil, err
	}
	chosen, err := rest.ChosenBy(c.params)
	if err != nil {
		return nil, err
	}
	if chosen.Owner != nil {
		return c.deleted(c.registry.DeleteOwnerTokens(c.r.Context(), c.by, *chosen.Owner))
	}
	return c.deleted(c.registry.Delete(c.r.Context(), c.by, chosen.IDs...))
}

// deleted is the answer to a deletion.
func (c *adminCall) deleted(ids []string, err error) (any, error) {
	if err != nil {
		return nil, c.problemOf(err).HalfDone("deleted", ids)
	}
	return rest.NewDeletion(ids, c.acknowledged()), nil
}

// ackTime is how long an answer waits for the other gateways unless it is told
// otherwise: they take a change in within milliseconds, or something is wrong.
const ackTime = 100 * time.Millisecond

// acknowledged counts the gateways that have taken in what was done just now.
func (c *adminCall) acknowledged() rest.Gateways {
	return rest.Acknowledged(c.r.Context(), c.tokens.store, cmp.Or(c.wait, ackTime))
}

// maxWait bounds how long an answer can be made to wait for gateways.
const maxWait = time.Minute

// waitFor reads the query parameter wait: how long the answer waits for all
// gateways to take the change in.
func (c *adminCall) waitFor() (err error) {
	text := c.param("wait")
	if text == "" {
		return nil
	}
	if c.wait, err = caddy.ParseDuration(text); err != nil || c.wait <= 0 || c.wait > maxWait {
		return problem(http.StatusBadRequest, "wait %s: want a duration such as 2s, at most %s", text, registry.FormatDuration(maxWait))
	}
	return nil
}
