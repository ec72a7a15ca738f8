package spelling

import (
	"slices"
	"testing"
)

func TestDistance(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"same", "same", 0},
	} {
		if got := distance(row.a, row.b); got != row.want {
			t.Errorf("distance(%q, %q) = %d, want %d", row.a, row.b, got, row.want)
		}
	}
}

func TestSuggestAndNearest(t *testing.T) {
	known := []string{"stories:read", "stories:write", "assets:read", "assets:write"}
	if got, want := Suggest("storys:read", known), "; did you mean stories:read?"; got != want {
		t.Errorf("Suggest = %q, want %q", got, want)
	}
	if got := Suggest("x", known); got != "" {
		t.Errorf("Suggest of what is like nothing = %q", got)
	}
	if got, want := Nearest("asset:read", known), []string{"assets:read", "assets:write", "stories:read"}; !slices.Equal(got, want) {
		t.Errorf("Nearest = %q, want %q", got, want)
	}
	if got := Nearest("x", nil); len(got) != 0 {
		t.Errorf("Nearest of none = %q", got)
	}
}
