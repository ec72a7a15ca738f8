package policy

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// CleanHeader removes from a request's header what could make the upstream see another
// request than the one that is judged:
//
//   - the fields that Connection names (RFC 9110 section 7.6.1), which the proxy would remove
//     later
//   - names that some servers fold into others (api_key)
//   - method and URL overrides
//   - upgrades to anything but WebSocket, an Expect of anything but 100-continue, and the
//     Trailer announcement
//   - whatever begins with IdentityPrefix: only the gate may say who is asking
//
// It also trims blanks around values (RFC 9110 section 5.5): net/http leaves them in over
// HTTP/2 and HTTP/3, and trims them on the way to the upstream.
//
// CleanHeader must run before a request is judged, on every route. It returns, sorted, the
// names of the removed fields that a client may rely on: overrides, and names that servers
// fold. Without them it gets another answer than it asks for. Fields that proxies add to
// every request aren't returned.
func CleanHeader(h http.Header) (misleading []string) {
	connection, upgrade := false, false
	for name, values := range h {
		for i, value := range values {
			if value != "" && (isBlank(value[0]) || isBlank(value[len(value)-1])) {
				values[i] = textproto.TrimString(value)
			}
		}
		switch name {
		case "Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Content-Length", "Content-Type", "Cookie",
			"Origin", "Referer", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "User-Agent":
			// What nearly all requests have is known to be harmless.
		case "Connection":
			connection = true
		case "Upgrade":
			upgrade = true
		case "Expect":
			// net/http answers others with 417, but only over HTTP/1, and takes a value that
			// has more than this. Servers differ about both.
			if len(values) != 1 || !equalFold(values[0], "100-continue") {
				delete(h, name)
			}
		default:
			switch plain := PlainHeaderName(name); {
			case plain && misleads(name):
				if !proxySays(name) {
					misleading = append(misleading, name)
				}
				delete(h, name)
			case !plain && name != ExtendedConnect:
				misleading = append(misleading, name)
				delete(h, name)
			case strings.HasPrefix(name, IdentityPrefix):
				delete(h, name)
			}
		}
	}
	websocket := connection && cleanConnection(h)
	if websocket {
		h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	} else if upgrade {
		delete(h, "Upgrade")
	}
	slices.Sort(misleading)
	return misleading
}

// proxySays reports whether proxies in front add the header to every request: Traefik,
// Apache and Envoy do.
func proxySays(name string) bool {
	return name == "X-Forwarded-Server" || strings.HasPrefix(name, "X-Envoy-")
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// IdentityPrefix begins the names of the headers that tell the upstream who is asking, in
// the form of http.CanonicalHeaderKey. Whatever else a server takes for one of these has
// no plain name (PlainHeaderName).
const IdentityPrefix = "X-Patgate-"

// cleanConnection removes the Connection header and the fields it names, and
// reports whether it asks for a WebSocket.
func cleanConnection(h http.Header) (websocket bool) {
	values := h["Connection"]
	delete(h, "Connection")
	for _, value := range values {
		if value == "keep-alive" {
			continue
		}
		for option := range strings.SplitSeq(value, ",") {
			option = textproto.TrimString(option)
			switch strings.ToLower(option) {
			case "upgrade":
				upgrade := h["Upgrade"]
				websocket = len(upgrade) == 1 && equalFold(upgrade[0], "websocket")
			case "", "close", "keep-alive", "te":
			default:
				h.Del(option)
			}
		}
	}
	return websocket
}

// isRemoved reports whether the gate, or the proxy after it, removes or replaces a header
// that clients send: nothing can be judged by it.
func isRemoved(name string) bool {
	if misleads(name) || strings.HasPrefix(name, IdentityPrefix) {
		return true
	}
	switch name { // between a client and the proxy, which drops it or writes its own
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Te", "Transfer-Encoding", "Upgrade", "Content-Length", "Expect", "Via",
		"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto":
		return true
	}
	return false
}

// ExtendedConnect is where net/http puts the protocol of an extended CONNECT
// (RFC 8441), which is how WebSockets begin in HTTP/2. No client can send a
// header of this name.
const ExtendedConnect = ":protocol"

// nameBytes are the bytes of plain names.
var nameBytes = func() (t [256]bool) {
	for c := range t {
		t[c] = isAlnum(byte(c)) || c == '-'
	}
	return t
}()

// PlainHeaderName reports whether a header's name consists of letters, digits and
// hyphens: any other name is, to some server, the same as a plain one.
func PlainHeaderName(name string) bool {
	for i := 0; i < len(name); i++ {
		if !nameBytes[name[i]] {
			return false
		}
	}
	return name != ""
}

// GRPCMetadata begins the names of headers that grpc-gateway passes on without it, beside
// a header that has the rest as its name (runtime.DefaultHeaderMatcher, before 2.33).
const GRPCMetadata = "Grpc-Metadata-"

// misleads reports whether a header is one by which some frameworks replace the
// method, the URL or the host of a request after the gate has judged it, or which
// announces what the gate doesn't let through.
func misleads(name string) bool {
	if named, ok := strings.CutPrefix(name, GRPCMetadata); ok {
		// X-Forwarded-* and Grpcgateway-* are what the gateway itself says beside them: the
		// host, the address, the fields of HTTP.
		return misleads(named) || strings.HasPrefix(named, IdentityPrefix) || strings.HasPrefix(named, "X-Forwarded-") || strings.HasPrefix(named, "Grpcgateway-")
	}
	if strings.HasSuffix(name, "-Method-Override") {
		return true
	}
	switch name {
	// the method
	case "X-Http-Method", "X-Method", "X-Original-Method", "X-Original-Http-Method", "X-Http-Verb", "X-Http-Verb-Override", "X-Tunneled-Method":
		return true
	// the URL
	case "X-Original-Query", "X-Original-Request-Uri", "X-Request-Uri", "X-Proxy-Url", "X-Waws-Unencoded-Url",
		"X-Http-Destinationurl", "X-Http-Path-Override", "X-Path-Override", "X-Replaced-Path", "X-Script-Name", "X-Ingress-Path", "X-Matched-Path", "X-Now-Route-Matches",
		"X-Astro-Path", "X-Traversal-Path", "X-Vhm-Root",
		"X-Invoke-Path", "X-Invoke-Query", "Base-Url", "Http-Url", "Proxy-Url", "Request-Uri", "Script-Name", "Path-Info", "Daphne-Root-Path",
		"Mf-Original-Url", "Mf-Route-Override":
		return true
	// the host
	case "Forwarded", "X-Vhm-Host", "X-Host", "X-Original-Host", "X-Http-Host", "X-Http-Host-Override", "X-Host-Override", "X-Proxy-Host", "Proxy-Host", "Disguised-Host":
		return true
	// requests in place of this one, whatever its path is, by the batch plugin of oRPC
	case "X-Orpc-Batch":
		return true
	// the proxy that a CGI program asks (CVE-2016-5385), where a file server before a
	// Rack program finds files (CVE-2025-61780), the charset of ASP.NET's mobile
	// clients, what a gate doesn't let through
	case "Proxy", "X-Sendfile-Type", "X-Accel-Mapping", "X-Up-Devcap-Post-Charset", "Trailer", "Http2-Settings":
		return true
	}
	if !strings.HasPrefix(name, "X-") {
		return instructsCamel(name)
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
	// what Envoy, Next.js, Encore and rewriting modules tell themselves
	return strings.HasPrefix(name, "X-Rewrite-") || strings.HasPrefix(name, "X-Envoy-") || strings.HasPrefix(name, "X-Middleware-") || strings.HasPrefix(name, "X-Encore-Meta-")
}

// instructsCamel reports whether a name is one of those by which Apache Camel tells itself
// where to send a request on: CamelHttpPath, CamelHttpMethod and so on. Those of a client's
// headers and parameters count where they aren't filtered (CVE-2025-30177).
func instructsCamel(name string) bool {
	for _, prefix := range [...]string{"camelhttp", "camelresthttp"} {
		if len(name) > len(prefix) && equalFold(name[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}
