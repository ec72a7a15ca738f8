package caddymodule

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

var update = flag.Bool("update", false, "write what Caddyfiles are adapted to into testdata/adapt")

const goldenSeparator = "----------\n"

// adapt turns a Caddyfile into indented JSON.
func adapt(input string) (string, error) {
	body, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(input), nil)
	if err != nil {
		return "", err
	}
	var indented bytes.Buffer
	err = json.Indent(&indented, body, "", "\t")
	return indented.String(), err
}

// The files in testdata/adapt have a Caddyfile, a line of hyphens, and the JSON
// that it means, with DIRECTORY for where the Caddyfile is.
func TestAdapt(t *testing.T) {
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			golden, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, _ := strings.Cut(string(golden), goldenSeparator)
			got, err := adapt(input)
			if err != nil {
				t.Fatalf("adapting: %v", err)
			}
			portable := strings.ReplaceAll(got, dir, "DIRECTORY")
			if *update {
				if err := os.WriteFile(file, []byte(input+goldenSeparator+portable+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if portable != strings.TrimSpace(want) {
				t.Errorf("adapted:\n%s\nwant:\n%s", portable, want)
			}
			// What is adapted is what Caddy loads, and means the same to the
			// policy commands.
			var config caddy.Config
			if err := json.Unmarshal([]byte(got), &config); err != nil {
				t.Fatal(err)
			}
			if err := caddy.Validate(&config); err != nil {
				t.Errorf("loading what was adapted: %v", err)
			}
			if _, err := parseConfiguration([]byte(got)); err != nil {
				t.Errorf("reading what was adapted: %v", err)
			}
		})
	}
}
