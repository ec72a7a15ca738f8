package policy

import (
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// overrides returns why a query is refused by which some frameworks would have another
// request than the one that is judged, or "": one with a parameter that replaces the
// method, _method (Symfony, Laravel, WordPress, Spring and others), _HttpMethod
// (Salesforce), or the name of one of the headers for that, unless it says what the
// method is anyway; or one that replaces another parameter (Next.js) or the path (Zope,
// see namesPath). rest says that it has restRoute.
func overrides(query, method string) (why string, rest bool) {
	var odd oddNames
	for pair := range strings.FieldsFuncSeq(query, endsPair) {
		name, value, _ := strings.Cut(pair, "=")
		if hasColon(name) && publishes(decodeEscapes(name)) {
			return "the query has a name by which Zope finds another path", rest
		}
		if !beginsOverride(pair[0]) {
			continue
		}
		name = generous(name)
		switch {
		case odd.tooMany(name):
			return "the query has too many names that aren't ASCII", rest
		case namesOverride(name) && !equalFold(unescapeQuery(value), method):
			return "the query has another method in it", rest
		case namesPath(name):
			return "the query has a name by which Astro, SvelteKit or Nitro finds another path", rest
		case len(name) > 4 && (name[:4] == "nxtP" || name[:4] == "nxtI") && name != "nxtPageToken": // which is a page's
			return "the query has a name by which Next.js replaces another parameter", rest
		}
		rest = rest || namesRestRoute(name)
	}
	return "", rest
}

// namesPath reports whether a parameter is one by which frameworks route on Vercel,
// whatever the path is: Astro, SvelteKit, Nitro with Nuxt.
func namesPath(name string) bool {
	return sameKey(name, "x_astro_path") || name == "__pathname" || name == "__isr_route"
}

// tunneled returns the method that Restlet takes from the query of a POST, or "". method
// is the name of many a filter as well.
func (m *Match) tunneled() string {
	if m.method != http.MethodPost {
		return ""
	}
	for pair := range strings.FieldsFuncSeq(m.query, endsPair) {
		name, value, _ := strings.Cut(pair, "=")
		if !sameKey(generous(name), "method") {
			continue
		}
		for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if equalFold(unescapeQuery(value), method) {
				return method
			}
		}
	}
	return ""
}

// otherValue returns why some servers find another value of a parameter of the path than
// this one, or "": data binding of Spring MVC, and the properties of Laravel's requests,
// prefer the query's; Spring decodes the path by the charset of the body.
func (m *Match) otherValue(key, value string) (why string) {
	if !isASCII(value) && charsetOf(m.header["Content-Type"]) != likeUTF8 {
		return "can be read in two ways: the Content-Type has a charset by which some servers read the path"
	}
	others, why := m.otherValues(key, value)
	switch {
	case why != "":
		return "can't be told: " + why
	case len(others) > 0:
		return "can be read in two ways: the query has " + key + " as well, which some servers prefer"
	}
	return ""
}

// otherValues returns the values that some servers find in the query for a parameter of
// the path which has this one there: up to maxReadings of them. why says why they can't
// be told.
func (m *Match) otherValues(key, value string) (all []string, why string) {
	var odd oddNames
	for pair := range strings.FieldsFuncSeq(m.query, endsPair) {
		if isAlnum(pair[0]) && isAlnum(key[0]) && lower(pair[0]) != lower(key[0]) {
			continue
		}
		name, other, _ := strings.Cut(pair, "=")
		name = generous(name)
		if odd.tooMany(name) {
			return nil, "the query has too many names that aren't ASCII"
		}
		if strings.LastIndexByte(name, '.') > 0 || !sameKey(name, key) {
			continue
		}
		if other = unescapeQuery(other); other != value && !slices.Contains(all, other) && len(all) < maxReadings {
			all = append(all, other)
		}
	}
	return all, ""
}

// isReplaced reports whether the query has another value of a parameter of the path that
// has other routes beside it.
func (m *Match) isReplaced() bool {
	if m.Route == nil {
		return false
	}
	for _, i := range m.Route.beside {
		if others, why := m.otherValues(m.Route.pattern.valueAt(i, &m.path)); len(others) > 0 || why != "" {
			return true
		}
	}
	return false
}

// replaced returns the paths that the request has to servers which prefer the query's
// value of a parameter to the path's (WordPress, plumber, Snap): which one of several,
// and of which parameters, is theirs to say. why says why they can't be told.
func (m *Match) replaced() (all []reading, why string) {
	r := m.Route
	if r == nil || m.query == "" || len(r.beside) == 0 {
		return nil, ""
	}
	paths := [][]string{m.path.segments()}
	for _, i := range r.beside {
		others, why := m.otherValues(r.pattern.valueAt(i, &m.path))
		if why != "" {
			return nil, why
		}
		for _, path := range paths {
			for _, other := range others {
				paths = append(paths, r.pattern.withValue(path, i, other))
			}
		}
		if len(paths) > maxReadings {
			return nil, "the query has too many values of parameters of the path"
		}
	}
	for _, path := range paths[1:] {
		other := reading{rule: prefersQuery, loose: true}
		if !other.join(path) {
			return nil, "the query has a value of a parameter of the path that is too long"
		}
		all = append(all, other)
	}
	return all, ""
}

// hasColon reports whether a parameter's name has a colon in it, perhaps encoded.
func hasColon(name string) bool {
	return strings.IndexByte(name, ':') >= 0 || strings.IndexByte(name, '%') >= 0 && (strings.Contains(name, "%3A") || strings.Contains(name, "%3a"))
}

// publishes reports whether Zope finds what it publishes in a parameter's name, behind
// whatever path the request has: that of a form's button (../../admin/users:method, and
// users:method, which is below the path). Such a name ends in types, which it takes off
// one by one from behind, and in .x or .y for a button that is an image; what else stands
// behind a colon ends that (result:Observation.method of FHIR).
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

// plainBytes reports whether a text is of letters, digits and these bytes.
func plainBytes(text, others string) bool {
	for i := 0; i < len(text); i++ {
		if !isAlnum(text[i]) && strings.IndexByte(others, text[i]) < 0 {
			return false
		}
	}
	return true
}

// restRoute is the parameter by which WordPress routes, whatever the path is.
const restRoute = "rest_route"

// namesRestRoute reports whether PHP makes restRoute of a name, or a list of that.
func namesRestRoute(name string) bool {
	if len(name) < len(restRoute) {
		return false
	}
	for i := range len(restRoute) {
		if c := name[i]; c != restRoute[i] && (restRoute[i] != '_' || c != '.' && c != ' ' && c != '[') {
			return false
		}
	}
	rest := name[len(restRoute):]
	return rest == "" || rest[0] == '[' || rest[0] == 0
}

// behindSemicolon returns what stands behind the first semicolon of a path, where
// some servers have the query begin (Fastify).
func behindSemicolon(path string) string {
	_, rest, _ := strings.Cut(path, ";")
	return rest
}

// beginsOverride reports whether the name of a parameter that overrides can begin
// with c, encoded or not: PHP makes underscores of some characters.
func beginsOverride(c byte) bool {
	switch c {
	case '_', '.', '[', ' ', '+', '%', 'x', 'X', 'r', 'n', '?':
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
		return sameKey(name[1:], "method") || sameKey(name[1:], "httpmethod")
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

// maxOddName is how many bytes of a name that isn't ASCII are looked at. What stands
// behind them is no more than what servers cut off.
const maxOddName = 256

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
		switch rest := s[i+1:]; {
		case s[i] == '%' && len(rest) >= 2 && isHex(rest[0]) && isHex(rest[1]):
			b.WriteByte(unhex(rest[0])<<4 | unhex(rest[1]))
			i += 2
		case s[i] == '%' && len(rest) >= 5 && lower(rest[0]) == 'u' && isHex(rest[1]) && isHex(rest[2]) && isHex(rest[3]) && isHex(rest[4]):
			b.WriteRune(rune(unhex(rest[1]))<<12 | rune(unhex(rest[2]))<<8 | rune(unhex(rest[3]))<<4 | rune(unhex(rest[4])))
			i += 5
		default:
			b.WriteByte(blank(s[i]))
		}
	}
	return b.String()
}

// GRPCMetadata begins the names of headers that grpc-gateway passes on under the rest of
// the name, beside one that has that name (runtime.DefaultHeaderMatcher, before 2.33).
const GRPCMetadata = "Grpc-Metadata-"

// misleads reports whether a header is one by which some frameworks replace the
// method, the URL or the host of a request after the gate has judged it, or which
// announces what the gate doesn't let through.
func misleads(name string) bool {
	if named, ok := strings.CutPrefix(name, GRPCMetadata); ok {
		return misleads(named) || strings.HasPrefix(named, IdentityPrefix)
	}
	if strings.HasSuffix(name, "-Method-Override") {
		return true
	}
	switch name {
	// the method
	case "X-Http-Method", "X-Method", "X-Original-Method", "X-Original-Http-Method", "X-Http-Verb", "X-Http-Verb-Override", "X-Tunneled-Method":
		return true
	// the URL
	case "X-Original-Query", "X-Original-Request-Uri", "X-Request-Uri", "X-Proxy-Url",
		"X-Http-Destinationurl", "X-Http-Path-Override", "X-Path-Override", "X-Script-Name", "X-Ingress-Path", "X-Matched-Path", "X-Now-Route-Matches",
		"X-Astro-Path", "X-Traversal-Path", "X-Vhm-Root",
		"X-Invoke-Path", "X-Invoke-Query", "Base-Url", "Http-Url", "Proxy-Url", "Request-Uri", "Script-Name", "Path-Info":
		return true
	// the host
	case "Forwarded", "X-Vhm-Host", "X-Host", "X-Original-Host", "X-Http-Host", "X-Http-Host-Override", "X-Host-Override", "X-Proxy-Host", "Proxy-Host":
		return true
	// the proxy that a CGI program asks (CVE-2016-5385), where a file server before a
	// Rack program finds files (CVE-2025-61780), the charset of ASP.NET's mobile
	// clients, what a gate doesn't let through
	case "Proxy", "X-Sendfile-Type", "X-Accel-Mapping", "X-Up-Devcap-Post-Charset", "Trailer", "Http2-Settings":
		return true
	}
	if !strings.HasPrefix(name, "X-") {
		return false
	}
	if forwarded, ok := strings.CutPrefix(name, "X-Forwarded-"); ok {
		switch forwarded {
		case "For", "Host", "Proto": // the proxy's to say: it replaces what clients say that it doesn't trust
		case "Port", "Scheme", "Ssl": // say nothing of which route, space or resource it is
		default:
			return true
		}
	}
	// the URL as others have got it: X-Original-Url, X-Ms-Original-Url of Azure
	if before, part, _ := strings.Cut(name, "-Original-"); before != "" && (part == "Url" || part == "Uri" || part == "Path" || part == "Pathname") {
		return true
	}
	// what Envoy, Next.js and rewriting modules tell themselves
	return strings.HasPrefix(name, "X-Rewrite-") || strings.HasPrefix(name, "X-Envoy-") || strings.HasPrefix(name, "X-Middleware-")
}
