package policy

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// overrides returns why a query is refused that makes another request of the one that is
// judged, to some frameworks, or "". rest says that it has the parameter restRoute. Refused
// are parameters that replace
//
//   - the method, unless by the same: _method (Symfony, Laravel, WordPress, Spring and
//     others), _HttpMethod (Salesforce), __METHOD_OVERRIDE__ (Flask), or the name of a header
//     that does so (in Play 1 also within a value)
//   - the path (Zope, Phalcon, see namesPath), or the action that is called (Grails)
//   - another parameter (Next.js)
//   - a header that says who is asking (Atmosphere takes parameters for headers, Pushpin
//     has one with headers), or, to Camel, where to send the request on
func overrides(query, method string) (why string, rest bool) {
	if namesMethod(query, method) {
		return otherMethod, rest
	}
	var odd oddNames
	for name, value := range parameters(query) {
		if hasColon(name) && publishes(decodeEscapes(name)) {
			return "the query has a name by which Zope finds another path", rest
		}
		if name == "" || !beginsOverride(name[0]) {
			continue
		}
		name = generous(name)
		switch {
		case odd.tooMany(name):
			return tooManyOddNames, rest
		case namesOverride(name) && !equalFold(unescapeQuery(value), method):
			return otherMethod, rest
		case namesPath(name):
			return "the query has a name by which Astro, SvelteKit or Nitro finds another path", rest
		case namesToPHP(name, "_url") && strings.HasPrefix(decodeEscapes(value), "/"):
			return "the query has _url, which is another path to Phalcon", rest
		case len(name) >= len(IdentityPrefix) && equalFold(name[:len(IdentityPrefix)], IdentityPrefix):
			return "the query has a name by which Atmosphere finds a header, and only the gate says who is asking", rest
		case instructsCamel(name):
			return "the query has a name by which Camel finds another request", rest
		case name == "_headers":
			return "the query has _headers, which are other headers to Pushpin", rest
		case strings.HasPrefix(name, "_action_"):
			return "the query has a name by which Grails finds another action", rest
		case len(name) > 4 && (name[:4] == "nxtP" || name[:4] == "nxtI") && name != "nxtPageToken": // which is a page's
			return "the query has a name by which Next.js replaces another parameter", rest
		}
		rest = rest || namesToPHP(name, restRoute)
	}
	return "", rest
}

// playMethod is what Play 1 looks for anywhere in a query, even in the values of other
// parameters, followed by the method.
const playMethod = "x-http-method-override="

// namesMethod reports whether Play 1 finds another method in the query.
func namesMethod(query, method string) bool {
	_, behind, found := strings.Cut(query, playMethod)
	for ; found; _, behind, found = strings.Cut(behind, playMethod) {
		for _, other := range tunnelable {
			if other != method && strings.HasPrefix(behind, other) {
				return true
			}
		}
	}
	return false
}

const otherMethod = "the query has another method in it"

// namesPath reports whether a parameter is one that frameworks route by on Vercel, instead
// of the path: Astro, SvelteKit, Nitro with Nuxt.
func namesPath(name string) bool {
	return sameKey(name, "x_astro_path") || name == "__pathname" || name == "__isr_route"
}

// tunnelable are the methods that servers take from a query.
var tunnelable = [...]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// tunneled returns the methods that servers take from the query, by names that are those
// of filters as well, or that an API's own clients send: Restlet, Alfresco and Gerrit for
// that of a POST, grpc-websocket-proxy for that of a WebSocket, Restler and PrestaShop for
// any. And Atmosphere takes a GET for a POST that has its body there.
func (m *Match) tunneled() (all []string) {
	tunnels := m.method == http.MethodPost || m.websocket
	for name, value := range parameters(m.query) {
		if name == "" || isAlnum(name[0]) && strings.IndexByte("ahmpx", lower(name[0])) < 0 {
			continue // most names: none of these begins so
		}
		name = generous(name)
		if m.method == http.MethodGet && sameKey(name, "x-atmosphere-post-body") && !slices.Contains(all, http.MethodPost) {
			all = append(all, http.MethodPost)
		}
		if !(tunnels && (sameKey(name, "method") || sameKey(name, "alf_method") || name == "$m")) && !namesToPHP(name, "http_method") && !namesToPHP(name, "ps_method") {
			continue
		}
		for _, method := range tunnelable {
			if method != m.method && equalFold(unescapeQuery(value), method) && !slices.Contains(all, method) {
				all = append(all, method)
			}
		}
	}
	return all
}

// hasColon reports whether a parameter's name has a colon in it, perhaps encoded.
func hasColon(name string) bool {
	return strings.IndexByte(name, ':') >= 0 || strings.IndexByte(name, '%') >= 0 && (strings.Contains(name, "%3A") || strings.Contains(name, "%3a"))
}

// publishes reports whether Zope takes what it publishes from a parameter's name, relative to
// the path: the name of a form's button (users:method, ../../admin/users:method). Zope cuts
// types off the end of such a name, one by one, and .x or .y, for a button that is an image,
// until it meets something else after a colon (result:Observation.method of FHIR).
func publishes(name string) bool {
	if strings.HasPrefix(name, "_") && strings.IndexByte(name, '/') < 0 { // Zope publishes none of these; FHIR has them
		return false
	}
	for {
		colon := strings.LastIndexByte(name, ':')
		if colon < 0 {
			return false
		}
		kind := strings.TrimSuffix(name[colon+1:], "\n") // before which its pattern has the end as well
		for strings.HasSuffix(kind, ".x") || strings.HasSuffix(kind, ".y") {
			kind = strings.TrimSuffix(kind[:len(kind)-2], "\n")
		}
		switch {
		case kind == "method" || kind == "action" || kind == "default_method" || kind == "default_action":
			return true
		case kind == "" || !plainBytes(kind, "-_"):
			return false
		}
		name = name[:colon]
	}
}

// restRoute is the parameter that WordPress routes by, instead of the path.
const restRoute = "rest_route"

// namesToPHP reports whether PHP turns a name into this key, or into a list of this key.
func namesToPHP(name, key string) bool {
	if len(name) < len(key) {
		return false
	}
	for i := range len(key) {
		if c := name[i]; c != key[i] && (key[i] != '_' || c != '.' && c != ' ' && c != '[') {
			return false
		}
	}
	rest := name[len(key):]
	return rest == "" || rest[0] == '[' || rest[0] == 0
}

// beginsOverride reports whether the name of a parameter that overrides can begin
// with c, encoded or not: PHP makes underscores of some characters.
func beginsOverride(c byte) bool {
	switch c {
	case '_', '.', '[', ' ', '+', '%', 'c', 'C', 'x', 'X', 'r', 'n', '?':
		return true
	}
	return c >= utf8.RuneSelf
}

// generous decodes a parameter's name as the most generous of servers do.
func generous(name string) string {
	name = decodeEscapes(name)
	if strings.IndexByte(name, '%') >= 0 {
		name = decodeEscapes(name)
	}
	name = strings.TrimLeftFunc(name, beforeName)
	if !isASCII(name) {
		name = strings.TrimLeftFunc(norm.NFKC.String(name[:min(len(name), maxOddName)]), beforeName)
	}
	return name
}

// namesOverride reports whether some framework takes the name for one of a
// parameter that overrides the method.
func namesOverride(name string) bool {
	if name == "" {
		return false
	}
	switch name[0] {
	case '_', '.', '[': // method alone is the name of many a filter
		return sameKey(name[1:], "method") || sameKey(name[1:], "httpmethod") || sameKey(name[1:], "methodoverride")
	case 'x', 'X':
	default:
		return false
	}
	for _, header := range [...]string{"xhttpmethodoverride", "xhttpmethod", "xmethodoverride", "xtunneledmethod"} {
		if sameKey(name, header) {
			return true
		}
	}
	return false
}

// maxOddName is how many bytes of a name that isn't ASCII are looked at. Beyond them there
// can only be what servers cut off.
const maxOddName = 256

const tooManyOddNames = "the query has too many names that aren't ASCII"

// oddNames counts the bytes of names that aren't ASCII.
type oddNames int

// tooMany adds a name that generous returned, and reports whether it is one too many.
func (n *oddNames) tooMany(name string) bool {
	if !isASCII(name) {
		*n += oddNames(min(len(name), maxOddName))
	}
	return *n > maxOddKeys
}

// beforeName reports whether some server drops r at the beginning of a name.
func beforeName(r rune) bool { return r <= ' ' || r == '?' || unicode.Is(unicode.Cf, r) }

// decodeEscapes decodes a name as the most generous of servers do, once: what is no
// escape stays as it is, + is a blank, and %u0041 is an A (IIS).
func decodeEscapes(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		rest := s[i:]
		c, plain := escaped(rest)
		switch {
		case plain:
			b.WriteByte(c)
			i += 2
		case len(rest) >= 6 && rest[0] == '%' && lower(rest[1]) == 'u' && digits(rest[2:6], 16) == 4:
			r, _ := strconv.ParseUint(rest[2:6], 16, 16) // is one
			b.WriteRune(rune(r))
			i += 5
		default:
			b.WriteByte(blank(s[i]))
		}
	}
	return b.String()
}
