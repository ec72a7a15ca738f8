package caddymodule

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/patgate/patgate/internal/rest"
	"github.com/patgate/patgate/policy"
)

// policyCommand is the commands that look at policies. They need no running
// server but to look a token up.
func policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Check, show, explain and test policies",
		Long: `Commands that check the policies in a configuration. They run the gate's own
decision code on the configuration file. They need no running server, except to
look up the token for explain.`,
	}
	cmd.AddCommand(policyCheckCommand(), policyRoutesCommand(), policyExplainCommand(), policyTestCommand(), policyDiffCommand(),
		policyImportCommand())
	return cmd
}

func policyRoutesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "routes [--config FILE]",
		Short: "Show the compiled table of routes",
		Example: `  patgate policy routes
  patgate policy routes --config Caddyfile --json`,
		Args: wantArgs(),
	}
	read := configFlags(cmd)
	asJSON := jsonFlag(cmd)
	cmd.RunE = run(func(cmd *cobra.Command, _ []string) error {
		c, err := read()
		if err != nil {
			return err
		}
		if len(c.sites) == 0 {
			return errNoSites
		}
		all := []siteRoutes{}
		for _, s := range c.sites {
			p := s.gate.policy
			routes := siteRoutes{
				At: s.gate.At, Hosts: s.Hosts, Ports: s.Ports,
				Default: p.Default(), DefaultReport: p.ReportsDefault(), Routes: []policy.RouteInfo{}, placed: s.placed(),
			}
			for _, r := range p.Routes() {
				routes.Routes = append(routes.Routes, r.Info())
			}
			all = append(all, routes)
		}
		return printAnswer(cmd, *asJSON, all, printRoutes)
	})
	return cmd
}

// siteRoutes are the routes of a site's policy.
type siteRoutes struct {
	At            string             `json:"at,omitempty"` // file:line of the gate
	Hosts         []string           `json:"hosts"`
	Ports         []string           `json:"ports"`
	Default       string             `json:"default"`
	DefaultReport bool               `json:"default_report,omitempty"` // mode report
	Routes        []policy.RouteInfo `json:"routes"`

	placed string // the site, for people
}

// printRoutes prints the routes of all sites as one table.
func printRoutes(out io.Writer, sites []siteRoutes) {
	w := newTable(out)
	for _, s := range sites {
		fmt.Fprintf(w, "%s\n", s.placed)
		fmt.Fprintln(w, "METHODS\tPATTERN\tREQUIRES\tSPACE\tRESOURCE\tAT")
		for _, r := range s.Routes {
			require := r.Require
			if r.Optional {
				require += " (optional)"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", strings.Join(r.Methods, ","), r.Pattern, require+inReport(r.Report), r.Space, r.Resource, r.At)
		}
		fmt.Fprintf(w, "*\t(everything else)\t%s\t\t\t\n", s.Default+inReport(s.DefaultReport))
	}
	w.Flush()
}

// inReport marks what a request needs where it is forwarded without it, too.
func inReport(reports bool) string {
	if reports {
		return " (report)"
	}
	return ""
}

func policyTestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "test [--config FILE] CASES.jsonl...",
		Short: "Compare the policy with what requests are known to need",
		Long: `Compares what the policy asks of requests with what cases say they need. Cases are
JSON objects, one per line:

  {"method":"GET","path":"/v1/spaces/1/stories","scope":"stories:read","space":"1","resource":null}

scope is "a b" (both are needed), "a|b" (one of them), public, any, never, deny
(no route), or a list (all are needed). space and resource are those found in the
request, or null. "anonymous": true means that the request is also served without
a token. Other keys are ignored. If several sites use patgate, path is a whole
URL, or --site names the site. The file - is standard input.`,
		Example: `  patgate policy test --config Caddyfile cases.jsonl
  patgate policy test --site api.example.com cases/*.jsonl`,
		Args: wantArgs("CASES.jsonl..."),
	}
	read := configFlags(cmd)
	host := cmd.Flags().String("site", "", "`HOST` of the site to test, or the place of its gate as in Caddyfile:3, if several use patgate")
	asJSON := jsonFlag(cmd)
	cmd.RunE = run(func(cmd *cobra.Command, files []string) error {
		c, err := read()
		if err != nil {
			return err
		}
		check := func(of policy.Case) error {
			s, err := siteFor(c.sites, cmp.Or(*host, hostOf(of.Path)))
			if err != nil {
				return err
			}
			return s.gate.policy.Check(of)
		}
		// A --site that is none is no fault of the cases.
		if _, err := siteFor(c.sites, *host); err != nil && (*host != "" || len(c.sites) == 0) {
			return err
		}
		w := bufio.NewWriter(cmd.OutOrStdout())
		err = testCases(w, check, files, *asJSON)
		return cmp.Or(w.Flush(), err)
	})
	return cmd
}

// hostOf returns the host in the path of a case, if that is a whole URL, with the port.
func hostOf(path string) string {
	u, err := url.ParseRequestURI(path)
	if err != nil {
		return "" // the case fails
	}
	return withPort(u.Host, u.Scheme)
}

// testCases runs the cases in files. Its last line says how many passed.
func testCases(out io.Writer, check func(policy.Case) error, files []string, asJSON bool) error {
	type failure struct {
		File  string `json:"file"`
		Line  int    `json:"line"`
		Case  string `json:"case"`
		Error string `json:"error"`
	}
	failures, passed := []failure{}, 0
	for _, file := range files {
		cases, err := casesIn(file)
		if err != nil {
			return err
		}
		for _, c := range cases {
			err := check(c)
			if err == nil {
				passed++
				continue
			}
			why := strings.ReplaceAll(err.Error(), "\n", "; ")
			failures = append(failures, failure{file, c.Line, c.Method + " " + c.Path, why})
			if !asJSON {
				fmt.Fprintf(out, "%s:%d: %s %s: %s\n", file, c.Line, c.Method, c.Path, why)
			}
		}
	}
	if passed+len(failures) == 0 {
		return fmt.Errorf("%s: no cases", strings.Join(files, ", ")) // nothing else tells of a file that was cut off
	}
	if asJSON {
		if err := rest.Print(out, map[string]any{"passed": passed, "failed": len(failures), "failures": failures}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(out, "%d passed, %d failed\n", passed, len(failures))
	}
	if len(failures) > 0 {
		return fmt.Errorf("%d of %s failed", len(failures), counted(passed+len(failures), "case"))
	}
	return nil
}

func casesIn(file string) ([]policy.Case, error) {
	in := io.Reader(os.Stdin)
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("reading cases: %w", err)
		}
		defer f.Close()
		in = f
	}
	cases, err := policy.ReadCases(in)
	if err != nil {
		return nil, fmt.Errorf("reading cases: %s: %w", file, err)
	}
	return cases, nil
}
