// Package examples has a policy for each of four real APIs. The tests run them
// as an operator would, with the patgate command.
package examples

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/patgate/patgate/internal/freeport"
	"github.com/patgate/patgate/internal/testbinary"
)

// binary is the built patgate.
var binary string

func TestMain(m *testing.M) { os.Exit(testbinary.Run(m, &binary)) }

var systems = []string{"storyblok", "storyden", "magistrala", "cryptlex"}

// patgate runs a command in the directory of an example.
func patgate(t *testing.T, system string, env []string, args ...string) (output string, err error) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = system, &out, &out
	cmd.Env = append(os.Environ(), env...)
	err = cmd.Run()
	return out.String(), err
}

// The cases that are kept here, and, where they are at hand, those that the
// systems' facts came with.
func TestCases(t *testing.T) {
	for _, system := range systems {
		for name, file := range map[string]string{"own": "cases.jsonl", "shared": "../../../shared/systems/" + system + ".cases.jsonl"} {
			t.Run(system+"/"+name, func(t *testing.T) {
				t.Parallel()
				if _, err := os.Stat(filepath.Join(system, file)); err != nil && name == "shared" {
					t.Skipf("%s is not here", file)
				}
				if out, err := patgate(t, system, nil, "policy", "test", "--config", "Caddyfile", file); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

// A slash at the end of a path makes no difference, and HEAD is as GET: the cases
// hold with these as well.
func TestCasesInOtherForms(t *testing.T) {
	for _, system := range systems {
		t.Run(system, func(t *testing.T) {
			t.Parallel()
			cases, err := os.ReadFile(filepath.Join(system, "cases.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			shared, _ := os.ReadFile("../../shared/systems/" + system + ".cases.jsonl") // where it is at hand
			forms := strings.NewReplacer(`"method":"GET"`, `"method":"HEAD"`, `"method": "GET"`, `"method": "HEAD"`).Replace(string(cases) + string(shared))
			forms = caseEnd.ReplaceAllString(forms, "$1/$2")
			if strings.Count(forms, "/?") < 1 || strings.Count(forms, "HEAD") < 10 {
				t.Fatal("the cases have no other form")
			}
			file := filepath.Join(t.TempDir(), "forms.jsonl")
			if err := os.WriteFile(file, []byte(forms), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := patgate(t, system, nil, "policy", "test", "--config", "Caddyfile", file); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// caseEnd is where the path of a case ends without a slash.
var caseEnd = regexp.MustCompile(`("path": ?"[^"?]*[^"?/])([?"])`)

// What policy check warns of, and why that is meant.
var warnings = map[string]*regexp.Regexp{
	// Delivery tokens travel in the query: that is how the API has it. Previews
	// need no token, and slugs have slashes.
	"storyblok": regexp.MustCompile(`token_from query token: |/stories/(draft|published|published_index)/\{slug\.\.\.\} opens everything below it`),
	// Storyden asks for these after it has looked at whose something is.
	"storyden": regexp.MustCompile(`scope (MANAGE_POSTS|MANAGE_COLLECTIONS|COLLECTION_SUBMIT|MANAGE_REPORTS) is declared, but no route asks for it`),
	// Operations of the vocabulary that no call has: tokens hold them nevertheless.
	"magistrala": regexp.MustCompile(`scope \w+:(remove_parent_group|(connect_to|disconnect_from)_channel|(set|remove)_child_\w+|list_invitation|dashboard_\w+|role_check_\w+) is declared, but no route asks for it`),
	"cryptlex":   regexp.MustCompile(`^$`),
}

func TestCheck(t *testing.T) {
	for _, system := range systems {
		t.Run(system, func(t *testing.T) {
			t.Parallel()
			out, err := patgate(t, system, nil, "policy", "check", "--config", "Caddyfile")
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for line := range strings.SplitSeq(out, "\n") {
				if strings.Contains(line, "warning: ") && !warnings[system].MatchString(line) {
					t.Error(line)
				}
			}
			if out, err := patgate(t, system, nil, "validate", "--config", "Caddyfile"); err != nil {
				t.Errorf("validate: %v\n%s", err, out)
			}
		})
	}
}

// The session in an example's README, with a server of its own behind the
// addresses that are written there.
type session struct {
	system, admin, address string
	env                    []string
	token                  string // the last that was made
}

func TestReadme(t *testing.T) {
	for _, system := range systems {
		t.Run(system, func(t *testing.T) {
			t.Parallel()
			readme, err := os.ReadFile(filepath.Join(system, "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			_, block, _ := strings.Cut(string(readme), "```console\n")
			block, _, ok := strings.Cut(block, "```")
			if !ok {
				t.Fatal("README.md has no session")
			}
			upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			t.Cleanup(upstream.Close)
			s := &session{system: system, admin: freeport.For(t), address: freeport.For(t)}
			s.env = []string{
				"CADDY_ADMIN=" + s.admin, "PATGATE_LISTEN=http://" + s.address, "PATGATE_STORE=" + filepath.Join(t.TempDir(), "tokens.db"),
				"PATGATE_UPSTREAM=" + upstream.Listener.Addr().String(), "XDG_CONFIG_HOME=" + t.TempDir(), "XDG_DATA_HOME=" + t.TempDir(),
			}
			commands := strings.Split(block, "$ ")[1:]
			for _, c := range commands {
				command, want, _ := strings.Cut(c, "\n")
				if got := s.run(t, command); got != want {
					t.Errorf("$ %s\n%swant\n%s", command, got, want)
				}
			}
			if len(commands) < 5 {
				t.Errorf("%d commands: the README doesn't show much", len(commands))
			}
		})
	}
}

var (
	policyTest  = regexp.MustCompile(`^patgate (policy test .*)$`)
	serve       = regexp.MustCompile(`^PATGATE_UPSTREAM=\S+ patgate (run .*)$`)
	tokenCreate = regexp.MustCompile(`^patgate (token create .*)$`)
	curl        = regexp.MustCompile(`^curl -s -o /dev/null -w '%\{http_code\}\\n'(?: -H "Authorization: ([^"]+)")?(?: -X (\w+))? ["']?http://localhost:8080([^"']+)["']?$`)
)

// run does what a command of the session says, and returns what it prints.
func (s *session) run(t *testing.T, command string) string {
	t.Helper()
	if m := policyTest.FindStringSubmatch(command); m != nil {
		return s.patgate(t, m[1])
	}
	if m := serve.FindStringSubmatch(command); m != nil {
		s.serve(t, strings.Fields(m[1])...)
		return ""
	}
	if m := tokenCreate.FindStringSubmatch(command); m != nil {
		lines := strings.Split(strings.TrimSpace(s.patgate(t, m[1])), "\n")
		s.token = lines[len(lines)-1]
		return ""
	}
	m := curl.FindStringSubmatch(command)
	if m == nil {
		t.Fatalf("README.md: %q is not a command that is tested", command)
	}
	withToken := strings.NewReplacer("$TOKEN", s.token)
	req, err := http.NewRequest(m[2], "http://"+s.address+withToken.Replace(m[3]), nil)
	if err != nil {
		t.Fatal(err)
	}
	if m[1] != "" {
		req.Header.Set("Authorization", withToken.Replace(m[1]))
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return fmt.Sprintln(resp.StatusCode)
}

// patgate runs a command that must succeed.
func (s *session) patgate(t *testing.T, args string) string {
	t.Helper()
	out, err := patgate(t, s.system, s.env, strings.Fields(args)...)
	if err != nil {
		t.Fatalf("patgate %s: %v\n%s", args, err, out)
	}
	return out
}

// serve starts the example.
func (s *session) serve(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Dir, cmd.Env = s.system, append(os.Environ(), s.env...)
	launchGateway(t, cmd, s.admin)
}

// Each kind of answer is in the cases that are kept here.
func TestCasesAreBroad(t *testing.T) {
	for _, system := range systems {
		text, err := os.ReadFile(filepath.Join(system, "cases.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		for _, scope := range []string{"public", "any", "never", "deny"} {
			if !slices.Contains(strings.Split(string(text), `"`), scope) {
				t.Errorf("%s: no case of %s", system, scope)
			}
		}
	}
}
