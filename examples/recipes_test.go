package examples

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/patgate/patgate/internal/freeport"
	"github.com/patgate/patgate/internal/output"
	"github.com/patgate/patgate/internal/redistest"
)

// recipe is a running gateway with the Caddyfile of a recipe.
type recipe struct {
	env      []string
	addr     string // of its site
	upstream *httptest.Server
}

// serveRecipe runs a Caddyfile until the test ends. An upstream answers with what
// it was sent.
func serveRecipe(t *testing.T, caddyfile string, env ...string) *recipe {
	t.Helper()
	return serveRecipeWith(t, binary, caddyfile, env...)
}

// serveRecipeWith is serveRecipe with another program than patgate's own.
func serveRecipeWith(t *testing.T, program, caddyfile string, env ...string) *recipe {
	t.Helper()
	r := &recipe{addr: freeport.For(t)}
	r.upstream = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s by %s", r.Method, r.RequestURI, r.Header["X-Patgate-Owner"])
		for _, name := range []string{
			"X-Patgate-Decision", "X-Patgate-Identity", "X-Original-Uri", "X-Original-Method", "X-Original-Host", "X-Forwarded-Uri", "X-Forwarded-Method",
		} {
			if r.Header[name] != nil { // no recipe has them sent
				fmt.Fprintf(w, ", with a forged %s", name)
			}
		}
	}))
	t.Cleanup(r.upstream.Close)
	admin, dir := freeport.For(t), t.TempDir()
	r.env = append([]string{
		"CADDY_ADMIN=" + admin, "SITE=http://:" + port(r.addr), "UPSTREAM=" + r.upstream.Listener.Addr().String(),
		"XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir, "REDIS_PASSWORD=secret", "PATGATE_PEPPER=sixteen characters",
	}, env...)
	cmd := exec.Command(program, "run", "--config", caddyfile, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), r.env...)
	launchGateway(t, cmd, admin)
	return r
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// launchGateway is launch for a gateway, by the address of its admin endpoint.
func launchGateway(t *testing.T, cmd *exec.Cmd, admin string) {
	t.Helper()
	launch(t, cmd, func() error {
		resp, err := http.Get("http://" + admin + "/patgate/status")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var status struct{ Health struct{ Status string } }
		if err := json.NewDecoder(resp.Body).Decode(&status); err != nil || status.Health.Status != "ok" {
			return fmt.Errorf("health %q, %w", status.Health.Status, err)
		}
		return nil
	})
}

// launch starts a program that ends with the test, and returns when it is ready.
func launch(t *testing.T, cmd *exec.Cmd, ready func() error) {
	t.Helper()
	var log output.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", cmd.Path, &log)
		}
	})
	await(t, ready)
}

// await calls f until it returns no error.
func await(t *testing.T, f func() error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a minute: %v", err)
		}
	}
}

// token makes a token of alice that may read in space 1.
func (r *recipe) token(t *testing.T, flags ...string) (secret string) {
	t.Helper()
	out, err := patgate(t, ".", r.env, append([]string{"token", "create", "--name", "t", "--owner", "alice", "--space", "1", "--scope", "stories:read", "--json"}, flags...)...)
	var made struct{ Secret string }
	if err != nil || json.Unmarshal([]byte(out), &made) != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return made.Secret
}

// send sends a request line and headers as they are, and returns the answer.
func send(t *testing.T, addr, method, target string, header ...string) (status int, body string, answer http.Header) {
	t.Helper()
	return sendFrom(t, "127.0.0.1", addr, method, target, header...)
}

func sendFrom(t *testing.T, from, addr, method, target string, header ...string) (status int, body string, answer http.Header) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: time.Minute}
	conn, err := dialer.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	request := fmt.Sprintf("%s %s HTTP/1.0\r\nHost: api.example.com\r\n", method, target)
	for i := 0; i < len(header); i += 2 {
		request += header[i] + ": " + header[i+1] + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return resp.StatusCode, string(text), resp.Header
}

// caddyfileOf returns the Caddyfile in the ConfigMap of the Kubernetes recipe.
func caddyfileOf(t *testing.T, objects []object) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Caddyfile")
	for _, o := range objects {
		if o.Kind == "ConfigMap" {
			if err := os.WriteFile(file, []byte(o.Data["Caddyfile"]), 0o600); err != nil {
				t.Fatal(err)
			}
			return file
		}
	}
	t.Fatal("no ConfigMap")
	return ""
}

// Every recipe forwards what its policy lets through, and nothing else.
func TestRecipes(t *testing.T) {
	for name, run := range map[string]func(t *testing.T) *recipe{
		"systemd": func(t *testing.T) *recipe { return serveRecipe(t, "recipes/systemd/Caddyfile") },
		"compose": func(t *testing.T) *recipe {
			return serveRecipe(t, "recipes/compose/Caddyfile", "REDIS="+redistest.Start(t, "requirepass secret").Addr)
		},
		"sentinel": func(t *testing.T) *recipe {
			s := redistest.StartSentinel(t)
			return serveRecipe(t, "recipes/sentinel/Caddyfile", "SENTINELS="+s.Sentinel.Addr, "MASTER="+redistest.MasterName)
		},
		"cluster": func(t *testing.T) *recipe {
			var nodes []string
			for _, m := range redistest.StartCluster(t, 0).Masters {
				nodes = append(nodes, m.Addr)
			}
			return serveRecipe(t, "recipes/cluster/Caddyfile", "NODES="+strings.Join(nodes, " "))
		},
		"load-balancer": func(t *testing.T) *recipe { return serveRecipe(t, "recipes/load-balancer/Caddyfile") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t)
			bearer := "Bearer " + r.token(t)
			for _, test := range []struct {
				target, authorization string
				status                int
				body                  string
			}{
				{"/healthz", "", 200, `"status":"ok"`},
				{"/v1/spaces/1/stories", "", 401, "token_missing"},
				{"/v1/spaces/1/stories", bearer, 200, "GET /v1/spaces/1/stories by [alice]"},
				{"/v1/spaces/2/stories", bearer, 403, "space_not_granted"},
				{"/nowhere", bearer, 403, "route_unknown"},
			} {
				header := []string{"X-Patgate-Owner", "root"}
				if test.authorization != "" {
					header = append(header, "Authorization", test.authorization)
				}
				if status, body, _ := send(t, r.addr, "GET", test.target, header...); status != test.status || !strings.Contains(body, test.body) {
					t.Errorf("GET %s (%t): %d %s, want %d %s", test.target, test.authorization != "", status, body, test.status, test.body)
				}
			}
		})
	}
}

// Behind a load balancer a client is who the load balancer says, and nobody
// else says that.
func TestLoadBalancer(t *testing.T) {
	t.Parallel()
	r := serveRecipe(t, "recipes/load-balancer/Caddyfile", "PROXIES=127.0.0.1/32 10.0.0.0/8")
	bearer := "Bearer " + r.token(t, "--allow-ip", "203.0.113.7")
	for _, test := range []struct {
		name, from, forwardedFor string
		status                   int
	}{
		{"the load balancer names the address", "127.0.0.1", "203.0.113.7", 200},
		{"through two of them", "127.0.0.1", "203.0.113.7, 10.1.2.3", 200},
		{"it names another one", "127.0.0.1", "198.51.100.1", 401},
		{"the client names it, and the load balancer adds the true one", "127.0.0.1", "203.0.113.7, 198.51.100.1", 401},
		{"it names none", "127.0.0.1", "", 401},
		{"somebody else names it", "127.0.0.2", "203.0.113.7", 401},
	} {
		header := []string{"Authorization", bearer}
		if test.forwardedFor != "" {
			header = append(header, "X-Forwarded-For", test.forwardedFor)
		}
		status, body, _ := sendFrom(t, test.from, r.addr, "GET", "/v1/spaces/1/stories", header...)
		if status != test.status || status == 401 && !strings.Contains(body, "address_not_allowed") {
			t.Errorf("%s: %d %s, want %d", test.name, status, body, test.status)
		}
	}
}

// The unit is one that systemd takes, and what it starts are commands there are.
func TestSystemd(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("recipes/systemd/patgate.service")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^Exec\w+=/usr/bin/(patgate .*)$`).FindAllStringSubmatch(string(text), -1)
	if len(commands) < 2 {
		t.Errorf("%d commands, want run and reload", len(commands))
	}
	for _, c := range commands {
		checkCommand(t, c[1])
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: the unit is not verified")
	}
	unit := filepath.Join(t.TempDir(), "patgate.service")
	if err := os.WriteFile(unit, bytes.ReplaceAll(text, []byte("/usr/bin/patgate"), []byte(binary)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil || bytes.Contains(out, []byte("patgate.service")) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// checkCommand reports flags that a command of patgate doesn't have.
func checkCommand(t *testing.T, line string) {
	t.Helper()
	words := strings.Fields(line)[1:]
	n := 0
	for n < len(words) && regexp.MustCompile(`^[a-z]+$`).MatchString(words[n]) {
		n++
	}
	if n == 0 {
		t.Errorf("%s: no command", line)
		return
	}
	help, err := patgate(t, ".", nil, append(slices.Clone(words[:n]), "--help")...)
	if err != nil {
		t.Errorf("%s: %v\n%s", line, err, help)
	}
	for _, w := range words[n:] {
		if name, _, _ := strings.Cut(w, "="); strings.HasPrefix(w, "--") && !strings.Contains(help, name+" ") && !strings.Contains(help, name+"\n") {
			t.Errorf("%s: there is no flag %s", line, name)
		}
	}
}

// The commands in the comments of the recipes are ones there are.
func TestRecipeComments(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("recipes/*/*")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range regexp.MustCompile(`(?m)^#\t.*\bcaddy (patgate .*)$`).FindAllStringSubmatch(string(text), -1) {
			checkCommand(t, c[1])
			found++
		}
	}
	if found < 2 {
		t.Errorf("%d commands found", found)
	}
}

// object is an object of Kubernetes, as far as it is looked at here.
type object struct {
	APIVersion string            `yaml:"apiVersion"`
	Kind       string            `yaml:"kind"`
	Metadata   metadata          `yaml:"metadata"`
	Data       map[string]string `yaml:"data"`
	Spec       spec              `yaml:"spec"`
}

type metadata struct {
	Name   string            `yaml:"name"`
	Labels map[string]string `yaml:"labels"`
}

type spec struct {
	Selector map[string]any `yaml:"selector"`
	Ports    []struct {
		TargetPort string `yaml:"targetPort"`
	} `yaml:"ports"`
	Template struct {
		Metadata metadata `yaml:"metadata"`
		Spec     struct {
			Containers []container `yaml:"containers"`
			Volumes    []struct {
				Name      string         `yaml:"name"`
				ConfigMap map[string]any `yaml:"configMap"`
			} `yaml:"volumes"`
		} `yaml:"spec"`
	} `yaml:"template"`
}

type container struct {
	Args  []string `yaml:"args"`
	Ports []struct {
		Name          string `yaml:"name"`
		ContainerPort int    `yaml:"containerPort"`
	} `yaml:"ports"`
	Env []struct {
		Name string `yaml:"name"`
	} `yaml:"env"`
	LivenessProbe  probe `yaml:"livenessProbe"`
	ReadinessProbe probe `yaml:"readinessProbe"`
	VolumeMounts   []struct {
		Name string `yaml:"name"`
	} `yaml:"volumeMounts"`
}

type probe struct {
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`
}

func kubernetes(t *testing.T) (objects []object) {
	t.Helper()
	text, err := os.ReadFile("recipes/kubernetes/patgate.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var o object
		if err := decoder.Decode(&o); err == io.EOF {
			return objects
		} else if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, o)
	}
}

// What the manifests name is there: labels, ports, volumes, variables; and the
// gateway that their Caddyfile makes answers their probes.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	objects := kubernetes(t)
	var pod *container
	var labels map[string]string
	for _, o := range objects {
		if o.APIVersion == "" || o.Metadata.Name == "" {
			t.Errorf("%s without a version or a name", o.Kind)
		}
		if o.Kind == "Deployment" {
			labels = o.Spec.Template.Metadata.Labels
			pod = &o.Spec.Template.Spec.Containers[0]
			var volumes []string
			for _, v := range o.Spec.Template.Spec.Volumes {
				volumes = append(volumes, v.Name)
				if v.ConfigMap != nil && v.ConfigMap["name"] != objects[0].Metadata.Name {
					t.Errorf("volume %s is of ConfigMap %v", v.Name, v.ConfigMap["name"])
				}
			}
			for _, m := range pod.VolumeMounts {
				if !slices.Contains(volumes, m.Name) {
					t.Errorf("no volume %s", m.Name)
				}
			}
		}
	}
	if pod == nil {
		t.Fatal("no Deployment")
	}
	checkCommand(t, "patgate "+strings.Join(pod.Args, " "))
	ports := map[string]int{}
	for _, p := range pod.Ports {
		ports[p.Name] = p.ContainerPort
	}
	caddyfile := objects[0].Data["Caddyfile"]
	for _, port := range []string{":{$PORT:8080}", ":{$PROBES:8081}"} {
		if !strings.Contains(caddyfile, port) {
			t.Errorf("the Caddyfile doesn't listen on %s", port)
		}
	}
	if ports["http"] != 8080 || ports["probes"] != 8081 {
		t.Errorf("the ports are %v", ports)
	}
	for _, v := range regexp.MustCompile(`\{env\.(\w+)\}`).FindAllStringSubmatch(caddyfile, -1) {
		if !slices.ContainsFunc(pod.Env, func(e struct {
			Name string `yaml:"name"`
		}) bool {
			return e.Name == v[1]
		}) {
			t.Errorf("the Caddyfile wants %s, which the container doesn't have", v[1])
		}
	}
	for _, o := range objects {
		selector := o.Spec.Selector
		if inner, ok := selector["matchLabels"].(map[string]any); ok {
			selector = inner
		}
		for k, v := range selector {
			if labels[k] != v {
				t.Errorf("%s selects %s: %v, the pods have %s", o.Kind, k, v, labels[k])
			}
		}
		for _, p := range o.Spec.Ports {
			if ports[p.TargetPort] == 0 {
				t.Errorf("%s: no port %s", o.Kind, p.TargetPort)
			}
		}
	}

	redis := redistest.Start(t, "requirepass secret")
	site, probes := freeport.For(t), freeport.For(t)
	r := serveRecipe(t, caddyfileOf(t, objects), "REDIS="+redis.Addr, "PORT="+port(site), "PROBES="+port(probes))
	for _, p := range []probe{pod.LivenessProbe, pod.ReadinessProbe} {
		if ports[p.HTTPGet.Port] != 8081 {
			t.Errorf("a probe of port %q", p.HTTPGet.Port)
		}
		if status, body, _ := send(t, probes, "GET", p.HTTPGet.Path); status != 200 {
			t.Errorf("GET %s: %d %s, want 200", p.HTTPGet.Path, status, body)
		}
	}
	if status, body, _ := send(t, probes, "GET", "/metrics"); status != 200 || !strings.Contains(body, "caddy_patgate_health") {
		t.Errorf("GET /metrics: %d %s", status, body)
	}
	if status, body, _ := send(t, site, "GET", "/v1/spaces/1/stories", "Authorization", "Bearer "+r.token(t)); status != 200 {
		t.Errorf("with a token: %d %s, want 200", status, body)
	}
	// An outage is no reason to take a gateway away at once, nor to restart it.
	redis.Kill()
	await(t, func() error {
		if status, body, _ := send(t, probes, "GET", pod.ReadinessProbe.HTTPGet.Path); status != 200 || !strings.Contains(body, `"status":"stale"`) {
			return fmt.Errorf("readiness: %d %s, want 200, stale", status, body)
		}
		return nil
	})
	out, err := patgate(t, ".", r.env, "status")
	if err != nil || !strings.Contains(out, "STALE: the store can't be asked; held tokens serve until ") || !strings.Contains(out, "CAN'T BE ASKED") {
		t.Errorf("status during an outage: %v\n%s", err, out)
	}
}

// The compose file says what the gateways and Valkey need.
func TestCompose(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("recipes/compose/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]struct {
			Build struct {
				Context    string `yaml:"context"`
				Dockerfile string `yaml:"dockerfile"`
			} `yaml:"build"`
			Image       string            `yaml:"image"`
			Command     any               `yaml:"command"`
			Environment map[string]string `yaml:"environment"`
			Volumes     []string          `yaml:"volumes"`
			DependsOn   map[string]any    `yaml:"depends_on"`
		} `yaml:"services"`
		Volumes map[string]any `yaml:"volumes"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	gate := file.Services["patgate"]
	if _, err := os.Stat(filepath.Join("recipes/compose", gate.Build.Context, gate.Build.Dockerfile)); err != nil {
		t.Error(err)
	}
	for name, s := range file.Services {
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if _, ok := file.Volumes[from]; !ok && !strings.HasPrefix(from, "./") {
				t.Errorf("%s: no volume %s", name, from)
			} else if !ok {
				if _, err := os.Stat(filepath.Join("recipes/compose", from)); err != nil {
					t.Error(err)
				}
			}
		}
		for other := range s.DependsOn {
			if file.Services[other].Image == "" {
				t.Errorf("%s depends on %s", name, other)
			}
		}
	}
	if gate.Environment["SITE"] != "http://:8080" || !strings.HasPrefix(gate.Environment["REDIS_PASSWORD"], "${REDIS_PASSWORD") {
		t.Errorf("the environment is %v", gate.Environment)
	}
	// Redis takes what Valkey is started with.
	flags, ok := strings.CutPrefix(fmt.Sprint(file.Services["valkey"].Command), "valkey-server ")
	if !ok {
		t.Fatalf("Valkey is started with %v", file.Services["valkey"].Command)
	}
	var lines []string
	for flag := range strings.SplitSeq(flags, "--") {
		if flag = strings.TrimSpace(flag); flag != "" {
			lines = append(lines, strings.NewReplacer("${REDIS_PASSWORD:?set it in .env}", "secret").Replace(flag))
		}
	}
	server := redistest.Start(t, lines...)
	for setting, want := range map[string]string{"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"} {
		if got, err := server.Client().ConfigGet(context.Background(), setting).Result(); err != nil || got[setting] != want {
			t.Errorf("%s is %v (%v), want %s", setting, got, err, want)
		}
	}
}
