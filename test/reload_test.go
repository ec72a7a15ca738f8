package test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patgate/patgate/internal/output"
	"github.com/patgate/patgate/store/embedded"
)

// A reload under load answers no request otherwise than without it, and keeps
// what is in memory and what was counted.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	for name, site := range map[string]string{
		"transport http":    plainSite,
		"transport patgate": strings.Replace(plainSite, "{$UPSTREAM}", "{$UPSTREAM} {\n\t\ttransport patgate\n\t}", 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reloadUnderLoad(t, site)
		})
	}
}

func reloadUnderLoad(t *testing.T, site string) {
	s := setup{sites: site, tokens: []known{
		{name: "good"}, {name: "limited", grants: grant("*", "files:read", "*")}, {name: "revoked", revoked: true},
	}}
	g := start(t, s)
	var answered, closed atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	for _, client := range []struct {
		token, target string
		want          int
	}{{"good", "/x", 200}, {"good", "/x", 200}, {"limited", "/x", 403}, {"revoked", "/x", 401}, {"good", "/none", 403}} {
		session, secret := g.session(t), g.secret(client.token)
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				status, err := session.get(client.target, secret)
				switch {
				case err != nil && closedByServer(err):
					closed.Add(1) // Caddy closes kept connections when it reloads
				case err != nil || status != client.want:
					t.Errorf("%s with token %s: %d %v, want %d", client.target, client.token, status, err, client.want)
					return
				default:
					answered.Add(1)
				}
			}
		})
	}
	const read = `caddy_patgate_cache_lookups_total{result="known",tier="store"}`
	await(t, "the tokens to be held", func() bool { return g.metrics(t)[read] == "3" })
	for i := range 25 {
		s.sites = site + fmt.Sprintf("\nhttp://other.test:{$PORT} {\n\trespond %d\n}", i)
		if err := g.reload(t, s); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond) // the pace of the reloads; nothing depends on it
	}
	close(stop)
	load.Wait()
	metrics := g.metrics(t)
	if metrics[read] != "3" {
		t.Errorf("the store was read %s times for 3 tokens: the reloads have lost what was in memory", metrics[read])
	}
	counted := 0
	for name, value := range metrics {
		if strings.HasPrefix(name, "caddy_patgate_requests_total") {
			n, _ := strconv.Atoi(value)
			counted += n
		}
	}
	if n := int(answered.Load()); counted < n || counted > n+int(closed.Load()) || n < 100 {
		t.Errorf("%d requests counted, %d answered, %d connections closed", counted, n, closed.Load())
	}
}

// A reload that fails leaves everything as it is; one that changes only what is
// held or what scopes mean takes effect at once, on tokens held already too.
func TestReloadSettings(t *testing.T) {
	t.Parallel()
	s := setup{
		options: "scopes {\n\tstories:read\n\tstories:write implies stories:read\n}",
		sites:   plainSite,
		tokens:  []known{{name: "writer", grants: grant("*", "stories:write", "*")}},
	}
	for i := range 600 {
		s.tokens = append(s.tokens, known{name: fmt.Sprint(i)})
	}
	g := start(t, s)
	session := g.session(t)
	want := func(when, token string, status int) {
		t.Helper()
		if got, err := session.persist("/x", g.secret(token)); got != status {
			t.Errorf("%s: %d %v, want %d", when, got, err, status)
		}
	}
	for i := range 600 {
		want("at first", fmt.Sprint(i), 200)
	}
	want("implied", "writer", 200)
	held := func() string { return g.metrics(t)[`caddy_patgate_cache_entries{kind="token"}`] }
	if held() != "601" {
		t.Errorf("%s tokens held, want 601", held())
	}

	// Failures: in the Caddyfile, in what only shows when it is provisioned, and
	// in another app that can't start. That one is found only after the gate's
	// own settings would have been in force.
	occupied, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer occupied.Close()
	_, port, _ := net.SplitHostPort(occupied.Addr().String())
	for name, bad := range map[string]setup{
		"syntax":    {options: "cache {\n\tsize none\n}", sites: plainSite},
		"provision": {options: "cache {\n\tsize 128\n}\ntoken {\n\tpepper short\n}", sites: plainSite},
		"start":     {options: "cache {\n\tsize 128\n}", sites: plainSite + "\nhttp://api.test:" + port + " {\n\tbind 127.0.0.1\n\trespond ok\n}"},
	} {
		if err := g.reload(t, bad); err == nil {
			t.Errorf("%s: the reload was taken", name)
		}
		want("after a failed reload: "+name, "writer", 200)
		want("after a failed reload: "+name, "1", 200)
		if held() != "601" {
			t.Errorf("after a failed reload (%s), %s tokens are held, want 601", name, held())
		}
	}

	s.options = "cache {\n\tsize 300\n}\nscopes {\n\tstories:read\n\tstories:write\n}"
	if err := g.reload(t, s); err != nil {
		t.Fatal(err)
	}
	if n, _ := strconv.Atoi(held()); n > 300 || n == 0 {
		t.Errorf("%d tokens held after size 300", n)
	}
	want("no longer implied", "writer", 403)
	want("still", "1", 200)
}

// With another pepper, all tokens are unknown. That looks like an attack, or like a
// lost store, unless somebody says so.
func TestOtherPepper(t *testing.T) {
	t.Parallel()
	s := setup{sites: plainSite, tokens: []known{{name: "T"}}}
	g := start(t, s)
	const said = "TOKENS ARE ANSWERED 401"
	last := ""
	for _, pepper := range []string{"", "a-pepper-of-some-length", "a-pepper-of-some-length", ""} {
		before := strings.Count(g.log.String(), said)
		other := last != pepper
		s.options = ""
		if last = pepper; pepper != "" {
			s.options = "token {\n\tpepper " + pepper + "\n}"
		}
		if err := g.reload(t, s); err != nil {
			t.Fatal(err)
		}
		if other {
			await(t, "the other pepper to be told of", func() bool { return strings.Count(g.log.String(), said) == before+1 })
		}
		if got := g.send(t, request{target: "/x", header: []string{g.bearer("T")}}).verdict(); (got == "forward") != (pepper == "") {
			t.Errorf("pepper %q: %s", pepper, got)
		}
		await(t, "the status to say whether it is another pepper", func() bool {
			var status struct {
				Since *time.Time `json:"pepper_changed_at"`
			}
			g.call(t, "GET", "/patgate/status", "", &status)
			return (status.Since != nil) == (pepper != "")
		})
		if got, want := g.metrics(t)["caddy_patgate_store_warnings"], strconv.Itoa(min(len(pepper), 1)); got != want {
			t.Errorf("pepper %q: %s warnings are counted, want %s", pepper, got, want)
		}
	}
	if n := strings.Count(g.log.String(), said); n != 2 {
		t.Errorf("said %d times, want twice", n)
	}
}

// A configuration that moves to another file lets go of the old one.
func TestReloadOtherStore(t *testing.T) {
	t.Parallel()
	s := setup{sites: plainSite, tokens: []known{{name: "T"}}}
	g := start(t, s)
	s.store = "embedded {$DIR}/other.db"
	if err := g.reload(t, s); err != nil {
		t.Fatal(err)
	}
	if status, err := g.session(t).persist("/x", g.secret("T")); status != 401 {
		t.Errorf("with another store: %d %v, want 401", status, err)
	}
	await(t, "the old file to be unlocked", func() bool {
		db, err := embedded.Open(filepath.Join(g.dir, "tokens.db"))
		if err == nil {
			db.Close()
		}
		return err == nil
	})
}

// Requests that a configuration has under way when another with another store
// takes its place, and those that only get to its gate then, are answered as if
// nothing had happened.
func TestReloadOtherStoreUnderLoad(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	arrived, finish := make(chan struct{}), make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		served.Add(1)
		if r.URL.RawQuery == "slowly" {
			close(arrived)
			<-finish
		}
	}))
	t.Cleanup(upstream.Close)
	s := setup{sites: strings.ReplaceAll(plainSite, "{$UPSTREAM}", strings.TrimPrefix(upstream.URL, "http://")), tokens: []known{{name: "T"}}}
	g := prepare(t, s)
	tokens, err := os.ReadFile(filepath.Join(g.dir, "tokens.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(g.dir, "other.db"), tokens, 0o600); err != nil {
		t.Fatal(err)
	}
	g.serve(t)

	var answered atomic.Int64
	var load sync.WaitGroup
	secret := g.secret("T")
	slow := g.session(t)
	load.Go(func() {
		status, err := slow.get("/x?slowly", secret)
		if err != nil || status != 200 {
			t.Errorf("the request that was under way: %d %v, want 200", status, err)
		}
		answered.Add(1)
	})
	<-arrived
	stop := make(chan struct{})
	for range 8 {
		session := g.session(t)
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				switch status, err := session.get("/x", secret); {
				case err != nil && closedByServer(err): // as any reload does
				case err != nil || status != 200:
					t.Errorf("while stores change: %d %v, want 200", status, err)
					return
				default:
					answered.Add(1)
				}
			}
		})
	}
	for i := range 20 {
		s.store = []string{"embedded {$DIR}/other.db", ""}[i%2]
		err := g.reload(t, s)
		if i == 0 {
			close(finish)
		}
		if err != nil {
			t.Error(err)
			break
		}
		time.Sleep(50 * time.Millisecond) // the pace of the reloads; nothing depends on it
	}
	close(stop)
	load.Wait()
	if a, s := answered.Load(), served.Load(); a != s || a < 10 {
		t.Errorf("%d requests answered by the upstream, %d answers came through", s, a)
	}
}

// Many reloads leave nothing behind: no goroutines, no files.
func TestReloadLeaks(t *testing.T) {
	t.Parallel()
	// Without a proxy: its idle connections stay for a while.
	site := strings.Replace(plainSite, "reverse_proxy {$UPSTREAM}", "respond served", 1)
	g := start(t, setup{sites: site, tokens: []known{{name: "T"}}})
	goroutines := func() int {
		profile := g.get(t, "/debug/pprof/goroutine?debug=1")
		m := regexp.MustCompile(`total (\d+)`).FindSubmatch(profile)
		if m == nil {
			t.Fatalf("no number of goroutines in %.100q", profile)
		}
		total, _ := strconv.Atoi(string(m[1]))
		return total
	}
	files := func() int {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.process.Process.Pid))
		if err != nil {
			return 0 // this system doesn't say
		}
		return len(entries)
	}
	session := g.session(t)
	bad := setup{options: "token {\n\tpepper short\n}", sites: site}
	good := setup{sites: site}
	round := func() {
		if err := g.reload(t, bad); err == nil {
			t.Fatal("a bad configuration was taken")
		}
		if err := g.reload(t, good); err != nil {
			t.Fatal(err)
		}
		if status, err := session.persist("/x", g.secret("T")); status != 200 {
			t.Fatalf("after a reload: %d %v", status, err)
		}
	}
	for range 3 {
		round()
	}
	goroutinesBefore, filesBefore := goroutines(), files()
	const rounds = 20
	for range rounds {
		round()
	}
	// Each reload could leave one; what ends a little later is waited for.
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		n, f := goroutines(), files()
		if n < goroutinesBefore+rounds/2 && f < filesBefore+rounds/2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %d reloads: %d goroutines, %d before; %d files, %d before", rounds, n, goroutinesBefore, f, filesBefore)
		}
	}
}

// The file belongs to one server; whoever else wants it is told so. Checking a
// configuration needs no file.
func TestSecondServer(t *testing.T) {
	t.Parallel()
	g := start(t, setup{sites: plainSite, tokens: []known{{name: "T"}}})
	if out, err := g.command("validate", "--config", g.file, "--adapter", "caddyfile"); err != nil {
		t.Errorf("validate beside the running server: %v %s", err, out)
	}
	second := &gateway{dir: g.dir, file: g.file, admin: filepath.Join(g.dir, "admin2.sock"), upstream: g.upstream, log: new(output.Buffer)}
	err := second.run(t)
	if err == nil {
		second.stop()
		t.Fatal("a second server runs on the same file")
	}
	if want := "token store " + filepath.Join(g.dir, "tokens.db") + " is in use by another process"; !strings.Contains(err.Error(), want) {
		t.Errorf("the second server said: %v; want %s", err, want)
	}
	if got := g.send(t, request{target: "/x"}.with(g.bearer("T"))).verdict(); got != "forward" {
		t.Errorf("the first server, afterwards: %s", got)
	}
}
