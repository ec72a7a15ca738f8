package caddymodule

import "testing"

// What stands in a header can be read in one way: whoever is called like somebody's
// encoded name isn't taken for them.
func TestHeaderText(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "alice": "alice", "Alice B": "Alice B", "a%20b": "a%2520b", "100%": "100%25", " a": "%20a", "a ": "a%20", "Zoë x": "Zo%C3%AB%20x", "a\tb": "a%09b", "a\x7f": "a%7F",
	} {
		if got := headerText(text); got != want {
			t.Errorf("headerText(%q) = %q, want %q", text, got, want)
		}
	}
}
