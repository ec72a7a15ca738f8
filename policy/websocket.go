package policy

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// asksForWebSocket reports whether the request asks for a WebSocket, or may do so: where
// another proxy asks about it, the key alone may tell.
func (r *Request) asksForWebSocket() bool {
	return r.WebSocket || len(r.Header["Upgrade"]) > 0 || len(r.Header["Sec-Websocket-Key"]) > 0
}

// judgeWebSocket returns why a WebSocket can be another request than the one that asks
// for it, or "".
func (m *Match) judgeWebSocket() (why string) {
	switch subprotocols := m.header["Sec-Websocket-Protocol"]; {
	case m.method != http.MethodGet && len(m.header["Upgrade"]) > 0:
		return "only GET can ask for an upgrade (RFC 6455 section 4.1)"
	case m.websocket && slices.ContainsFunc(subprotocols, isGRPCWeb):
		return "the WebSocket has another method and other headers in its first message (gRPC-Web)"
	case m.websocket && slices.ContainsFunc(subprotocols, m.bringsHeaders):
		return "the WebSocket has other headers in its subprotocols, which Encore adds to its own"
	}
	return ""
}

// isGRPCWeb reports whether a WebSocket of these subprotocols is a POST to grpcweb (of
// improbable-eng), with the headers of its first message in place of its own.
func isGRPCWeb(subprotocols string) bool {
	return strings.Contains(strings.ToLower(subprotocols), "grpc-websockets")
}

// encoreHeaders begins the subprotocol in which browsers send headers to Encore's gateway: a
// JSON object in base64, whose members it adds to the WebSocket's own headers.
const encoreHeaders = "encore.dev.headers."

// bringsHeaders reports whether one of these subprotocols brings headers other than those that
// were judged. It may bring Authorization, if the request has none: that is the API's own.
func (m *Match) bringsHeaders(subprotocols string) bool {
	authorized := len(m.header["Authorization"]) > 0
	for subprotocol := range strings.SplitSeq(subprotocols, ",") {
		encoded, is := strings.CutPrefix(strings.TrimSpace(subprotocol), encoreHeaders)
		if !is {
			continue
		}
		object, err := base64.RawURLEncoding.DecodeString(encoded)
		var headers map[string]any
		if err != nil || json.Unmarshal(object, &headers) != nil {
			return true
		}
		for name := range headers {
			if authorized || !equalFold(name, "Authorization") {
				return true
			}
			authorized = true
		}
	}
	return false
}
