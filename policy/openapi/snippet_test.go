package openapi

import (
	"strings"
	"testing"

	"github.com/patgate/patgate/policy"
)

// TestSnippetIsHarmless: a terminal obeys nothing in what import prints.
func TestSnippetIsHarmless(t *testing.T) {
	d, err := read(t, "security: [{o: [read]}]\n"+paths(`  /a: {get: {summary: "a\nb\e[31mc\u009bd\u2028e\x7ff"}}`+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	var snippet strings.Builder
	if _, err := d.WriteSnippet(&snippet, policy.OpenAPIConfig{}); err != nil || !strings.Contains(snippet.String(), "# a b [31mc d e f\n") {
		t.Errorf("%v, snippet %q", err, &snippet)
	}
}
