package caddymodule

import (
	"errors"
	"math"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/patgate/patgate/cache"
	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/store"
	"github.com/patgate/patgate/store/redis"
)

// The collectors live as long as the process, so that counts survive reloads.
// Labels come from small fixed sets: never tokens, owners, spaces or paths.
var (
	requests, requestsVec = byReason(policy.Forward, "caddy_patgate_requests_total", "decision",
		"Requests judged, by decision: forward, or the reason of the rejection.")
	reported, reportedVec = byReason(policy.Forward+1, "caddy_patgate_reported_total", "reason",
		"Requests that report mode has forwarded although they would have been rejected, by reason.")
	streamsCut, streamsCutVec = byReason(policy.Forward+1, "caddy_patgate_streams_cut_total", "reason",
		"Streams and other long requests that were cut because their token ended, by the reason a new request would be rejected for.")
	unknownForwarded = newCounter("caddy_patgate_unknown_tokens_forwarded_total",
		"Requests with an unknown token that were forwarded because of unknown_token forward.")
	retiredUses = newCounter("caddy_patgate_retired_secret_used_total",
		"Requests with a secret that had been replaced, after its overlap.")
	storeErrors = newCounter("caddy_patgate_store_errors_total",
		"Lookups that failed because the store could not be asked.")
	lookupSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "caddy_patgate_lookup_duration_seconds",
		Help:    "Time that lookups of tokens not held in memory waited for the store.",
		Buckets: []float64{.00001, .00005, .0001, .0005, .001, .005, .01, .05, .1, .25, 1},
	})
)

func newCounter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

// byReason returns a counter for each policy.Reason from this one on, which is its label,
// and the collector of them all. Of those before there is no counter.
func byReason(from policy.Reason, name, label, help string) (counters []prometheus.Counter, all *prometheus.CounterVec) {
	all = prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	counters = make([]prometheus.Counter, from)
	for _, reason := range policy.Reasons()[from:] {
		counters = append(counters, all.WithLabelValues(reason.String()))
	}
	return counters, all
}

// collectors are those of the gate.
func collectors() []prometheus.Collector {
	return []prometheus.Collector{requestsVec, reportedVec, streamsCutVec, unknownForwarded, retiredUses, lookupSeconds, storeErrors, hubCollector{}}
}

// registerMetrics makes the collectors known to a configuration's registry.
func registerMetrics(registry *prometheus.Registry) error {
	if registry == nil {
		return nil
	}
	for _, c := range collectors() {
		if err := registry.Register(c); err != nil {
			if _, known := errors.AsType[prometheus.AlreadyRegisteredError](err); !known {
				return err
			}
		}
	}
	return nil
}

// observeLookup counts a read of the store.
func observeLookup(took time.Duration, err error) {
	lookupSeconds.Observe(took.Seconds())
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		storeErrors.Inc()
	}
}

// hubCollector reports what the caches and streams of all hubs hold and have done, and how
// well the store of the running configuration is heard.
type hubCollector struct{}

var (
	cacheLookups = prometheus.NewDesc("caddy_patgate_cache_lookups_total",
		"Lookups of tokens, by tier (memory, negative, store) and result (known, unknown, miss, error, coalesced, stale).",
		[]string{"tier", "result"}, nil)
	cacheEntries = prometheus.NewDesc("caddy_patgate_cache_entries",
		"What is held in memory: tokens, or digests remembered as unknown.", []string{"kind"}, nil)
	streamsOpen = prometheus.NewDesc("caddy_patgate_streams",
		"WebSockets, streams of events and other requests under way for longer than a second that end with their token.", nil, nil)
	cacheEvictions = prometheus.NewDesc("caddy_patgate_cache_evictions_total",
		"Held tokens pushed out for want of room.", nil, nil)
	feedHeard = prometheus.NewDesc("caddy_patgate_feed_heard",
		"Whether the changes that other gateways make are heard: 1, or 0. While they are not, nothing held is trusted without asking the store.", nil, nil)
	feedLag = prometheus.NewDesc("caddy_patgate_feed_lag_seconds",
		"How far behind this gateway may be at most: every change older than this has been applied. +Inf before the first was heard.", nil, nil)
	feedChanges = prometheus.NewDesc("caddy_patgate_feed_changes_total",
		"Changes applied, those made through this gateway included.", nil, nil)
	feedResets = prometheus.NewDesc("caddy_patgate_feed_resets_total",
		"Times that changes may have been missed, and everything held was dropped.", nil, nil)
	servingState = prometheus.NewDesc("caddy_patgate_health",
		"How well this gateway can serve: 1 for the state it is in ("+strings.Join(healths, ", ")+"), 0 for the others.", []string{"status"}, nil)
	storeWarnings = prometheus.NewDesc("caddy_patgate_store_warnings",
		"How many warnings patgate status has about the store: of a setup that would lose tokens, of lost changes, of another pepper.", nil, nil)
	maxStale = prometheus.NewDesc("caddy_patgate_max_stale_seconds",
		"For how long held tokens serve while the store can't be asked.", nil, nil)
	feedLost = prometheus.NewDesc("caddy_patgate_feed_lost_total",
		"Reads that showed an older record than this gateway had seen, or none of a token that is listed, and times that the feed ended before what it had followed: the store has lost changes.", nil, nil)
)

// Describe implements prometheus.Collector.
func (hubCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{cacheLookups, cacheEntries, cacheEvictions, streamsOpen, feedHeard, feedLag, feedChanges, feedResets, feedLost, servingState, storeWarnings, maxStale} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (hubCollector) Collect(ch chan<- prometheus.Metric) {
	var sum cache.Stats
	var used *openStore // by the running configuration: one that was replaced stays open for a while
	live := 0
	hubs.Range(func(_, value any) bool {
		h := value.(*hub)
		if t := h.opened.Load(); t != nil {
			sum = sum.Plus(t.cache.Stats())
			live += t.streams.open()
			if h.used() {
				used = t
			}
		}
		return true
	})
	if used != nil {
		collectHealth(ch, used)
		warnings := 0
		if used.pepperChanged() != nil {
			warnings++
		}
		if s, shared := used.store.(*redis.Store); shared {
			warnings += len(s.Warnings())
			collectFeed(ch, s)
		}
		ch <- prometheus.MustNewConstMetric(storeWarnings, prometheus.GaugeValue, float64(warnings))
	}
	counter := func(tier, result string, n uint64) {
		ch <- prometheus.MustNewConstMetric(cacheLookups, prometheus.CounterValue, float64(n), tier, result)
	}
	counter("memory", "known", sum.Hits)
	counter("memory", "miss", sum.NegativeHits+sum.Misses)
	counter("negative", "unknown", sum.NegativeHits)
	counter("negative", "miss", sum.Misses)
	counter("store", "known", sum.Found)
	counter("store", "unknown", sum.NotFound)
	counter("store", "error", sum.Errors)
	counter("store", "coalesced", sum.Coalesced)
	counter("store", "stale", sum.Stale)
	ch <- prometheus.MustNewConstMetric(streamsOpen, prometheus.GaugeValue, float64(live))
	ch <- prometheus.MustNewConstMetric(cacheEvictions, prometheus.CounterValue, float64(sum.Evicted))
	ch <- prometheus.MustNewConstMetric(cacheEntries, prometheus.GaugeValue, float64(sum.Held), "token")
	ch <- prometheus.MustNewConstMetric(cacheEntries, prometheus.GaugeValue, float64(sum.Unknown), "unknown")
}

// collectHealth reports how well a gateway can serve.
func collectHealth(ch chan<- prometheus.Metric, t *openStore) {
	now := t.health(time.Now()).Status
	for _, status := range healths {
		value := 0.0
		if status == now {
			value = 1
		}
		ch <- prometheus.MustNewConstMetric(servingState, prometheus.GaugeValue, value, status)
	}
	ch <- prometheus.MustNewConstMetric(maxStale, prometheus.GaugeValue, max(t.cache.Options().MaxStale, 0).Seconds())
}

// collectFeed reports how well a shared store is heard.
func collectFeed(ch chan<- prometheus.Metric, s *redis.Store) {
	lag, heard := math.Inf(1), 0.0
	if last := s.Heard(); !last.IsZero() {
		lag = time.Since(last).Seconds()
	}
	if lag < cache.Silence.Seconds() {
		heard = 1
	}
	stats := s.Stats()
	ch <- prometheus.MustNewConstMetric(feedHeard, prometheus.GaugeValue, heard)
	ch <- prometheus.MustNewConstMetric(feedLag, prometheus.GaugeValue, lag)
	ch <- prometheus.MustNewConstMetric(feedChanges, prometheus.CounterValue, float64(stats.Changes))
	ch <- prometheus.MustNewConstMetric(feedResets, prometheus.CounterValue, float64(stats.Resets))
	ch <- prometheus.MustNewConstMetric(feedLost, prometheus.CounterValue, float64(stats.Lost))
}
