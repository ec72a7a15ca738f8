package caddymodule

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// explainRequest is the body of POST /patgate/explain.
type explainRequest struct {
	Method  string                  `json:"method"`
	URL     string                  `json:"url"` // a path, or whole where several sites use patgate
	Headers map[string]headerValues `json:"headers"`
	Address string                  `json:"address"` // where the request comes from
	Token   string                  `json:"token"`   // the id of the token to judge it with
	Secret  string                  `json:"secret"`  // or its secret
	Site    string                  `json:"site"`    // the host of the site, or the place of its gate, where the URL doesn't say
}

// headerValues are what a header says: in JSON a string, or a list of them for a
// header that is given more than once.
type headerValues []string

// UnmarshalJSON implements json.Unmarshaler.
func (v *headerValues) UnmarshalJSON(b []byte) error {
	if b[0] == '[' {
		return json.Unmarshal(b, (*[]string)(v))
	}
	*v = []string{""}
	return json.Unmarshal(b, &(*v)[0])
}

// explainRequestOn says what the running gates make of a request.
func explainRequestOn(c *adminCall) (any, error) {
	var in explainRequest
	if err := c.Decode(&in); err != nil {
		return nil, err
	}
	switch {
	case in.Method == "" || in.URL == "":
		return nil, rest.Refuse(http.StatusBadRequest, "want method and url")
	case in.Token != "" && in.Secret != "":
		return nil, rest.Refuse(http.StatusBadRequest, "token and secret: want one of them")
	}
	q, err := newQuestion(&in)
	if err != nil {
		return nil, rest.Refuse(http.StatusBadRequest, "%v", err)
	}
	app, err := caddy.ActiveContext().AppIfConfigured("http")
	if err != nil {
		return nil, rest.Refuse(http.StatusNotFound, "the running server has no sites")
	}
	s, err := siteFor(runningSites(app.(*caddyhttp.App)), q.site())
	if err != nil {
		return nil, rest.Refuse(http.StatusBadRequest, "url: %v", err)
	}
	if in.Token != "" || in.Secret != "" {
		if err := c.lookUp(&q, in.Token, in.Secret); err != nil {
			return nil, err
		}
	} else {
		q.find = func(secret string) error { return c.lookUp(&q, "", secret) }
	}
	return s.explain(&q), nil
}

// lookUp finds the token that a request is to be judged with.
func (c *adminCall) lookUp(q *question, id, secret string) error {
	var t *token.Token
	var err error
	if id != "" {
		t, err = c.Account.Get(c.R.Context(), id)
	} else {
		t, err = c.registry.Verify(c.R.Context(), secret)
	}
	if q.without(err) {
		return nil
	}
	if err != nil {
		return err
	}
	var owner *token.Owner
	if t.Owner != "" {
		if owner, err = c.registry.Owner(c.R.Context(), t.Owner); err != nil && !errors.Is(err, registry.ErrNotFound) {
			return err
		}
	}
	view := c.registry.View(t)
	q.with(&view, owner)
	return nil
}
