package caddymodule

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/patgate/patgate/internal/mask"
	"github.com/patgate/patgate/policy"
)

// masks is what logs and reports don't show. It grows with every configuration.
var masks mask.Set

// inClear is what start and policy check say of access logs.
const inClear = "access logs show tokens in clear"

// maskLogs tells LogEncoder what the gate's tokens look like, and warns of logs that don't
// use it and would show them.
func (h *Handler) maskLogs(ctx caddy.Context) {
	masks.Add(h.policy.Credentials(), h.app.rules.Prefix)
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return
	}
	places := h.loggedPlaces(server.Logs)
	if len(places) == 0 {
		return
	}
	if showSecrets(ctx, accessLogs(server.Logs, nil)) {
		ctx.Logger().Warn(inClear+": give the logs the format patgate, or a filter of your own",
			zap.Strings("token_from", places))
	}
	if showSecrets(ctx, []string{"http.log.error", "http.handlers.reverse_proxy"}) {
		ctx.Logger().Warn("logs of what fails show tokens in clear: give the default log the format patgate (the global option log), or a filter of your own",
			zap.Strings("token_from", places))
	}
}

// accessLog is the name that all access logs are below.
const accessLog = "http.log.access"

// accessLogs returns the names of the loggers to which a server writes access logs of
// requests to the hosts; without hosts, of requests to any site.
func accessLogs(logs *caddyhttp.ServerLogConfig, hosts []string) (names []string) {
	if logs == nil {
		return nil
	}
	add := func(more ...string) {
		for _, name := range more {
			if name = strings.TrimSuffix(accessLog+"."+name, "."); !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if len(hosts) == 0 {
		if len(logs.LoggerNames) == 0 || logs.DefaultLoggerName != "" { // else it has requests that are for no site
			add(logs.DefaultLoggerName)
		}
		for _, host := range slices.Sorted(maps.Keys(logs.LoggerNames)) {
			add(logs.LoggerNames[host]...)
		}
		return names
	}
	for _, host := range hosts {
		host = strings.ToLower(host)
		of, named := logs.LoggerNames[host]
		if add(of...); named {
			continue
		}
		for _, pattern := range slices.Sorted(maps.Keys(logs.LoggerNames)) {
			if wider := certmagic.MatchWildcard(host, pattern); wider || certmagic.MatchWildcard(pattern, host) {
				add(logs.LoggerNames[pattern]...)
				named = named || wider
			}
		}
		skipped := func(pattern string) bool { return certmagic.MatchWildcard(host, pattern) }
		if !named && !logs.SkipUnmappedHosts && !slices.ContainsFunc(logs.SkipHosts, skipped) {
			add(logs.DefaultLoggerName)
		}
	}
	return names
}

// showSecrets reports whether what is logged by one of these names goes to a log of
// another format than LogEncoder.
func showSecrets(ctx caddy.Context, names []string) (shows bool) {
	// Caddy doesn't tell which format a log has, but hands its encoder to a field that is
	// added.
	look := zap.Inline(zapcore.ObjectMarshalerFunc(func(e zapcore.ObjectEncoder) error {
		_, masks := e.(*LogEncoder)
		shows = shows || !masks
		return nil
	}))
	for _, name := range names {
		ctx.Logger(loggerName(name)).With(look)
	}
	return shows
}

// loggerName stands for a module that logs by this name.
type loggerName string

// CaddyModule is for caddy.Context.
func (l loggerName) CaddyModule() caddy.ModuleInfo { return caddy.ModuleInfo{ID: caddy.ModuleID(l)} }

// loggedPlaces returns the places where tokens are taken from that Caddy's logs show.
// Unless it is told to log credentials, it hides the headers Authorization and Cookie,
// but neither queries nor other headers.
func (h *Handler) loggedPlaces(logs *caddyhttp.ServerLogConfig) (places []string) {
	all := logs != nil && logs.ShouldLogCredentials
	for _, c := range h.policy.Credentials() {
		if (all || c.Kind == policy.Query || c.Kind == policy.Header) && !slices.Contains(places, c.String()) {
			places = append(places, c.String())
		}
	}
	return places
}

// checkLogs warns of access logs of a configuration that doesn't run, as maskLogs does.
func (c *configuration) checkLogs(warn warn) {
	for _, server := range c.servers {
		for _, s := range server.Sites {
			gate := s.Gate.(*Handler)
			places := gate.loggedPlaces(server.Logs)
			if len(places) == 0 {
				continue
			}
			for _, name := range accessLogs(server.Logs, s.Hosts) {
				for _, log := range c.shownBy(name) {
					where := "the global option log " + log
					switch {
					case log == caddy.DefaultLoggerName:
						where = "the global option log, for that is where they are written"
					case name != accessLog && slices.Contains(c.logs[log].Include, name):
						where = "the log of this site"
					}
					warn(gate.At, warnInClear, inClear+" (token_from "+strings.Join(places, ", ")+"): write format patgate in "+where)
				}
			}
		}
	}
}

// shownBy returns the logs that write what is logged by the name, in another format
// than LogEncoder.
func (c *configuration) shownBy(name string) (logs []string) {
	all := map[string]*caddy.CustomLog{caddy.DefaultLoggerName: new(caddy.CustomLog)} // unless it is configured
	maps.Copy(all, c.logs)
	for _, log := range slices.Sorted(maps.Keys(all)) {
		l := all[log]
		if l != nil && writes(l, name) && chosen(l.WriterRaw, "output") != "discard" && chosen(l.EncoderRaw, "format") != "patgate" {
			logs = append(logs, log)
		}
	}
	return logs
}

// writes reports whether the log has what is logged by the name: of the names that it
// includes and excludes, the longest counts.
func writes(l *caddy.CustomLog, name string) bool {
	longest := func(namespaces []string) (n int) {
		for _, namespace := range namespaces {
			if strings.HasPrefix(name+".", namespace+".") {
				n = max(n, len(namespace))
			}
		}
		return n
	}
	if slices.Contains(l.Exclude, "*") {
		return false
	}
	included, excluded := longest(l.Include), longest(l.Exclude)
	return included > excluded || len(l.Include) == 0 && excluded == 0
}

// chosen returns which module raw is of, by the key that says so.
func chosen(raw json.RawMessage, key string) string {
	var module map[string]json.RawMessage
	var name string
	_ = json.Unmarshal(raw, &module) // what is wrong with it, Caddy says
	_ = json.Unmarshal(module[key], &name)
	return name
}
