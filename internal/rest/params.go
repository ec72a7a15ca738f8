package rest

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/patgate/patgate/registry"
)

// Params reads a query that may have parameters of these names, separated by blanks, and
// no others: a misspelt one would widen what is listed or deleted. A + after a name says
// that it may be repeated.
func Params(query, names string) (url.Values, error) {
	known := strings.Fields(names)
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, Refuse(http.StatusBadRequest, "the query can't be read: want name=value, joined with & and percent-encoded")
	}
	for name, given := range values {
		switch {
		case slices.Contains(known, name+"+"):
		case !slices.Contains(known, name):
			return nil, Refuse(http.StatusBadRequest, "unknown query parameter %q%s", name, knownParams(known))
		case len(given) > 1:
			return nil, Refuse(http.StatusBadRequest, "query parameter %q is given twice", name)
		}
	}
	return values, nil
}

func knownParams(known []string) string {
	names := strings.ReplaceAll(strings.Join(known, ", "), "+", "")
	switch len(known) {
	case 0:
		return "; there are none here"
	case 1:
		return "; there is " + names
	}
	return "; there are " + names
}

// Page returns the query parameters limit (0: not given) and cursor.
func Page(params url.Values) (limit int, cursor string, err error) {
	if s := params.Get("limit"); s != "" {
		limit, err = strconv.Atoi(s)
		if err != nil || limit < 1 || limit > registry.MaxLimit {
			return 0, "", Refuse(http.StatusBadRequest, "limit: %q; want 1 to %d", s, registry.MaxLimit)
		}
	}
	return limit, params.Get("cursor"), nil
}

// listedOwner returns whose tokens or events a list is of, by the query parameters owner
// and unowned; nil: anyone's. An empty one is that of tokens without an owner.
func listedOwner(params url.Values) (*string, error) {
	owner := params.Get("owner")
	switch unowned := params.Get("unowned"); {
	case unowned != "" && unowned != "true" && unowned != "false":
		return nil, Refuse(http.StatusBadRequest, "unowned: %q; want true or false", unowned)
	case unowned == "true" && owner != "":
		return nil, Refuse(http.StatusBadRequest, "owner, unowned: give one of them")
	case unowned != "true" && owner == "":
		return nil, nil
	}
	return &owner, nil
}
