package console

import (
	"cmp"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/patgate/patgate/registry"
	"github.com/patgate/patgate/token"
)

// edit changes a token's name, description and allowed addresses, where the form has
// other values than were shown.
func (c *call) edit() error {
	t, f, err := c.changeForm()
	if err != nil {
		return err
	}
	name, description, ranges := f.Value("name"), f.Value("description"), f.addresses()
	seen := f.seen()
	changes := registry.Changes{Seen: seen}
	if name != seen.Name {
		changes.Name = &name
	}
	if description != seen.Description {
		changes.Description = &description
	}
	if !slices.Equal(ranges, rangesOf(seen)) {
		changes.AllowedIPs = &ranges
	}
	if name == "" {
		f.fail("name", "Give the token a name, so that you can tell it from others.")
	}
	if f.check(changes); len(f.Mistakes) > 0 {
		return c.showPage(f.status(), t, f, nil)
	}
	if _, err = c.Account.Update(c.R.Context(), t.ID, changes); errors.Is(err, registry.ErrConflict) {
		if t, err = c.mine(); err != nil { // as it is now
			return err
		}
		f.outdate(settings(t))
	} else if err := f.refused(err); err != nil {
		return err
	}
	if len(f.Mistakes) > 0 {
		return c.showPage(f.status(), t, f, nil)
	}
	return c.done(t.ID, "saved")
}

// settings are the values with which the form for a token's name, description and allowed
// addresses is shown. Each is there a second time, under its name after "was-": what
// somebody else changes meanwhile stays, unless the form changes it, too.
func settings(t *token.Token) url.Values {
	values := url.Values{}
	for field, value := range map[string]string{"name": t.Name, "description": t.Description, "addresses": strings.Join(rangesOf(t), "\n")} {
		values.Set(field, value)
		values.Set("was-"+field, value)
	}
	return values
}

// rangesOf returns where a token may be used from, as it is shown.
func rangesOf(t *token.Token) (ranges []string) {
	for _, p := range t.AllowedIPs {
		ranges = append(ranges, p.String())
	}
	return ranges
}

// seen returns what the form has shown of the token.
func (f *form) seen() *token.Token {
	t := &token.Token{Name: f.Value("was-name"), Description: f.Value("was-description")}
	for _, line := range f.lines("was-addresses") {
		p, _ := netip.ParsePrefix(line)
		t.AllowedIPs = append(t.AllowedIPs, p)
	}
	return t
}

// outdate notes which fields somebody else has changed as well as the form, and gives the
// others their present values.
func (f *form) outdate(now url.Values) {
	f.outdated = true
	for _, field := range []string{"name", "description", "addresses"} {
		was, is := strings.Join(f.lines("was-"+field), "\n"), now.Get(field)
		switch wanted := strings.Join(f.lines(field), "\n"); {
		case wanted == was:
			f.values.Set(field, is)
		case is != was && is != wanted:
			f.fail(field, "Somebody has changed this since the page was shown. It is now: %s. Save again to replace that.", cmp.Or(strings.ReplaceAll(is, "\n", ", "), "empty"))
		}
		f.values.Set("was-"+field, is)
	}
	if len(f.Mistakes) == 0 {
		f.fail("", "Somebody has changed this since the page was shown. Look at it again; nothing was saved.")
	}
}
