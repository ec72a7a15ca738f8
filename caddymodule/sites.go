package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/certmagic"
	"golang.org/x/net/idna"

	"github.com/patgate/patgate/caddymodule/caddyroutes"
	"github.com/patgate/patgate/policy"
)

// site is a gate with the hosts whose requests come to it.
type site struct {
	caddyroutes.Site
	gate  *Handler // which Gate is
	named bool     // its name has the ports: another site is on the same hosts
	// number tells gates with other policies at the same place apart, as a snippet with
	// arguments makes them; 0: there are none.
	number int
}

// Place implements caddyroutes.Gate.
func (h *Handler) Place() string { return h.At }

// Policy implements caddyroutes.Gate.
func (h *Handler) Policy() *policy.Policy { return h.policy }

// String names the site.
func (s site) String() string {
	name := "(any host)"
	if len(s.Hosts) > 0 {
		name = strings.Join(s.Hosts, ", ")
	}
	if s.named {
		name += " on port " + strings.Join(s.Ports, ", ")
	}
	if s.Failed {
		name += " (error routes)"
	}
	return name
}

// explain judges the request as the site's gate does.
func (s site) explain(q *question) explanation {
	q.asked = s.Asked
	e := s.gate.explain(q)
	e.Rewritten = s.Rewritten
	return e
}

// place returns where the gate is written, and which of those written there it is: as
// file:line, or file:line#2. "": it isn't known.
func (s site) place() string {
	if s.number == 0 {
		return s.gate.At
	}
	return fmt.Sprintf("%s#%d", s.gate.At, s.number)
}

// placed names the site with the place of its gate, where that is known.
func (s site) placed() string {
	if s.gate.At == "" {
		return s.String()
	}
	return s.String() + ", " + s.place()
}

// tellApart has sites that differ only in their ports be named with these, and gates with
// other policies at the same place be numbered.
func tellApart(sites []site) []site {
	written := map[string][]policy.Config{} // by place
	for i := range sites {
		at, config := sites[i].gate.At, sites[i].gate.Config
		number := 1 + slices.IndexFunc(written[at], func(c policy.Config) bool { return reflect.DeepEqual(c, config) })
		if number == 0 {
			written[at] = append(written[at], config)
			number = len(written[at])
		}
		sites[i].number = number
	}
	for i := range sites {
		if at := sites[i].gate.At; at == "" || len(written[at]) == 1 {
			sites[i].number = 0
		}
		sites[i].named = slices.ContainsFunc(sites, func(other site) bool {
			return slices.Equal(other.Hosts, sites[i].Hosts) && !slices.Equal(other.Ports, sites[i].Ports)
		})
	}
	return sites
}

// serves reports whether requests to the host, without a port, come to the site.
func (s site) serves(host string) bool {
	for _, pattern := range s.Hosts {
		if certmagic.MatchWildcard(asCompared(host), asCompared(pattern)) {
			return true
		}
	}
	return len(s.Hosts) == 0
}

// asCompared returns a host as Caddy compares it: in lower case, and in ASCII (RFC 5890).
func asCompared(host string) string {
	if ascii, err := idna.ToASCII(strings.ToLower(host)); err == nil {
		return ascii
	}
	return strings.ToLower(host)
}

// asTheyCome returns the sites that judge requests as they come; if there are none, those in
// error routes, which judge what has failed.
func asTheyCome(sites []site) []site {
	if some := slices.DeleteFunc(slices.Clone(sites), func(s site) bool { return s.Failed }); len(some) > 0 {
		return some
	}
	return sites
}

var errNoSites = errors.New("no site of the configuration uses patgate")

// siteFor returns the site for requests to host, which may have a port, or the
// one whose gate is written at host, where that is a place as file:line or file:line#2.
// Without a host there must be only one site. A port tells sites on the same
// host apart; one that no site has is ignored: something before Caddy may
// listen on it.
func siteFor(sites []site, host string) (site, error) {
	if len(sites) == 0 {
		return site{}, errNoSites
	}
	if host == "" {
		if sites = asTheyCome(sites); len(sites) == 1 {
			return sites[0], nil
		}
	}
	var names, here []string
	for _, s := range sites {
		if s.gate.At != "" && s.place() == host {
			return s, nil
		}
		if names = append(names, s.placed()); s.gate.At == host {
			here = append(here, s.placed())
		}
	}
	if len(here) > 0 && host != "" {
		return site{}, fmt.Errorf("several gates are made of what is written at %s (%s): say which one with --site and its place", host, strings.Join(here, "; "))
	}
	u := url.URL{Host: host}
	name := u.Hostname()
	found := sitesOn(sites, name, u.Port())
	// Gates of one place have one policy.
	found = slices.CompactFunc(found, func(a, b site) bool { return a.gate.At != "" && a.place() == b.place() })
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		var places []string
		for _, s := range found {
			places = append(places, cmp.Or(s.place(), `no "at"`))
		}
		return site{}, fmt.Errorf("%s has several gates (%s): say which one is meant with --site and its port or its place",
			name, strings.Join(places, "; "))
	case host == "":
		return site{}, fmt.Errorf("several gates could be meant (%s): say which one with the whole URL, or with --site and its host or its place", strings.Join(names, "; "))
	}
	return site{}, fmt.Errorf("no site with patgate serves %s; those that do: %s", host, strings.Join(names, "; "))
}

// sitesOn returns the sites that requests to a host and port come to. If there are several,
// they are for the same hosts.
func sitesOn(sites []site, host, port string) []site {
	found := slices.DeleteFunc(slices.Clone(sites), func(s site) bool { return host == "" || !s.serves(host) })
	onPort := func(s site) bool { return slices.Contains(s.Ports, port) }
	if slices.ContainsFunc(found, onPort) {
		found = slices.DeleteFunc(found, func(s site) bool { return !onPort(s) })
	}
	if found = asTheyCome(found); len(found) > 0 {
		hosts := found[0].Hosts // Caddy has the more specific of a server's sites first
		found = slices.DeleteFunc(found, func(s site) bool { return !slices.Equal(s.Hosts, hosts) })
	}
	return found
}

// runningSites returns the gates of a running configuration.
func runningSites(app *caddyhttp.App) []site {
	var c configuration
	for _, key := range slices.Sorted(maps.Keys(app.Servers)) {
		_ = c.add(key, caddyroutes.FromServer(app.Servers[key])) // fails only for gates that aren't made yet
	}
	return tellApart(c.sites)
}
