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

func TestSlip(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want bool
	}{
		{"stories:read", "storis:read", true}, {"stories:read", "storiess:read", true}, {"stories:read", "storied:read", true}, {"stories:read", "stroies:read", true},
		{"stories:read", "Stories:Read", true}, {"user:read", "users:read", true},
		{"stories:read", "stories:read", false}, {"stories:read", "stories:write", false}, {"tier1", "tier2", false}, {"tier", "tier1", false},
		{"use", "usr", false}, {"read:a", "write:a", false}, {"", "a", false},
	} {
		if Slip(row.a, row.b) != row.want || Slip(row.b, row.a) != row.want {
			t.Errorf("Slip(%q, %q) = %v, want %v both ways", row.a, row.b, !row.want, row.want)
		}
	}
	for _, row := range []struct {
		a, b string
		want bool
	}{{"GTE", "GET", true}, {"GE", "GET", true}, {"GETT", "GET", true}, {"GET", "GET", false}, {"PUT", "GET", false}} {
		if ShortSlip(row.a, row.b) != row.want || ShortSlip(row.b, row.a) != row.want {
			t.Errorf("ShortSlip(%q, %q) = %v, want %v both ways", row.a, row.b, !row.want, row.want)
		}
	}
}
