// Package operations has what watches gateways: a dashboard and alert rules.
// The tests compare them with what a gateway measures.
package operations

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/standard"
	dto "github.com/prometheus/client_model/go"
	"go.yaml.in/yaml/v3"

	_ "github.com/patgate/patgate/caddymodule"
	"github.com/patgate/patgate/internal/redistest"
)

// metrics are those of a gateway that has answered a request and follows a Redis
// server, by name, with the values of their labels.
type metrics map[string]map[string][]string

func gather(t *testing.T) metrics {
	t.Helper()
	dir, err := os.MkdirTemp("", "patgate") // short: the addresses of sockets are
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	redis := redistest.Start(t)
	config := fmt.Sprintf(`{"admin": {"disabled": true}, "apps": {
		"patgate": {"store": {"kind": "redis", "redis": {"addresses": [%q]}}},
		"http": {"metrics": {}, "servers": {"s": {"listen": ["unix/%s/s"], "automatic_https": {"disable": true}, "routes": [{"handle": [
			{"handler": "patgate", "routes": [{"methods": ["GET"], "pattern": "/", "require": "public"}]}, {"handler": "static_response"}]}]}}}}}`, redis.Addr, dir)
	if err := caddy.Load([]byte(config), true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, "s"))
	}}}
	resp, err := client.Get("http://gate/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	active := caddy.ActiveContext()
	families, err := active.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := metrics{}
	for _, f := range families {
		names := []string{f.GetName()}
		if f.GetType() == dto.MetricType_HISTOGRAM {
			names = []string{f.GetName() + "_bucket", f.GetName() + "_sum", f.GetName() + "_count"}
		}
		for _, name := range names {
			labels := map[string][]string{}
			for _, m := range f.GetMetric() {
				for _, l := range m.GetLabel() {
					labels[l.GetName()] = append(labels[l.GetName()], l.GetValue())
				}
			}
			all[name] = labels
		}
	}
	return all
}

var (
	selector = regexp.MustCompile(`\b((?:caddy|process|go)_\w+)(?:\{([^}]*)\})?`)
	matcher  = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	grouping = regexp.MustCompile(`\b(?:by|without)\s*\(([^)]*)\)`)
)

// scraped are the labels that Prometheus adds.
var scraped = []string{"instance", "job", "le"}

// check reports what an expression names that a gateway doesn't have.
func (m metrics) check(expression string) (wrong []string) {
	var labels []string
	for _, s := range selector.FindAllStringSubmatch(expression, -1) {
		name, of := s[1], m[s[1]]
		if of == nil {
			wrong = append(wrong, "no metric "+name)
			continue
		}
		for label := range of {
			labels = append(labels, label)
		}
		for _, c := range matcher.FindAllStringSubmatch(s[2], -1) {
			label, values := c[1], strings.Split(c[3], "|")
			if slices.Contains(scraped, label) {
				continue
			}
			for _, v := range values {
				if !slices.Contains(of[label], v) {
					wrong = append(wrong, fmt.Sprintf("no %s{%s=%q}", name, label, v))
				}
			}
		}
	}
	for _, g := range grouping.FindAllStringSubmatch(expression, -1) {
		for label := range strings.SplitSeq(g[1], ",") {
			if label = strings.TrimSpace(label); !slices.Contains(labels, label) && !slices.Contains(scraped, label) {
				wrong = append(wrong, "no label "+label)
			}
		}
	}
	return wrong
}

// Every metric, label and value that is named exists, and every metric of the
// gate is on the dashboard.
func TestNames(t *testing.T) {
	m := gather(t)
	var shown, all strings.Builder
	for name, expressions := range map[string][]string{"dashboard.json": dashboard(t), "alerts.yaml": alerts(t)} {
		if len(expressions) < 10 {
			t.Errorf("%s has %d expressions only", name, len(expressions))
		}
		for _, e := range expressions {
			for _, wrong := range m.check(e) {
				t.Errorf("%s: %s in %s", name, wrong, e)
			}
			if name == "dashboard.json" {
				fmt.Fprintln(&shown, e)
			}
			fmt.Fprintln(&all, e)
		}
	}
	for name := range m {
		base := strings.NewReplacer("_bucket", "", "_sum", "", "_count", "").Replace(name)
		if strings.HasPrefix(name, "caddy_patgate_") && base != "caddy_patgate_feed_heard" && !strings.Contains(shown.String(), base) {
			t.Errorf("%s is nowhere on the dashboard", name)
		}
	}
}

// A name that doesn't exist is found.
func TestCheckFinds(t *testing.T) {
	t.Parallel()
	m := metrics{"caddy_patgate_requests_total": {"decision": {"forward"}}}
	for expression, want := range map[string]int{
		`sum by (decision) (rate(caddy_patgate_requests_total{decision="forward",instance="a"}[5m]))`: 0,
		`caddy_patgate_request_total`:                      1,
		`caddy_patgate_requests_total{reason="forward"}`:   1,
		`caddy_patgate_requests_total{decision="forwart"}`: 1,
		`sum by (reason) (caddy_patgate_requests_total)`:   1,
	} {
		if got := m.check(expression); len(got) != want {
			t.Errorf("check(%s) = %q, want %d", expression, got, want)
		}
	}
}

// dashboard returns the expressions of the dashboard.
func dashboard(t *testing.T) (expressions []string) {
	t.Helper()
	text, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			expressions = append(expressions, target.Expr)
		}
	}
	return expressions
}

// alerts returns the expressions of the alert rules.
func alerts(t *testing.T) (expressions []string) {
	t.Helper()
	text, err := os.ReadFile("alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert       string            `yaml:"alert"`
				Expr        string            `yaml:"expr"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Annotations["summary"] == "" || r.Annotations["action"] == "" {
				t.Errorf("alert %s doesn't say what it is, and what to do", r.Alert)
			}
			expressions = append(expressions, r.Expr)
		}
	}
	return expressions
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: the rules are not evaluated")
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts.test.yaml"}} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
