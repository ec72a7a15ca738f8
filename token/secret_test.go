package token

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// Made apart from this package, with Python's zlib.crc32.
var knownSecrets = []struct{ prefix, secret string }{
	{"pat", "pat_0123456789ABCDEFGHIJKLMNOPQRST1fukiD"},
	{"pat", "pat_00000000000000000000000000000042VsRc"},
	{"acme_live", "acme_live_zYxWvUtSrQpOnMlKjIhGfEdCbA98761PhbCt"},
}

func TestInspect(t *testing.T) {
	for _, k := range knownSecrets {
		if got := Inspect(k.prefix, k.secret); got != WellMade {
			t.Errorf("Inspect(%q, %q) = %v, want WellMade", k.prefix, k.secret, got)
		}
	}
	known := knownSecrets[0].secret
	for _, c := range []struct {
		name, prefix, secret string
		want                 Form
	}{
		{"another prefix", "acme", known, Foreign},
		{"a longer prefix", "pat_0", known, Foreign},
		{"the prefix in capitals", "PAT", known, Foreign},
		{"no prefix", "pat", strings.TrimPrefix(known, "pat_"), Foreign},
		{"the prefix without its end", "pat", "pat", Foreign},
		{"a JWT", "pat", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dGVzdA", Foreign},
		{"base64", "pat", "c2VjcmV0+/c2VjcmV0==", Foreign},
		{"the longest", "pat", strings.Repeat("x", MaxSecretLength), Foreign},
		{"the prefix alone", "pat", "pat_", Malformed},
		{"a character short", "pat", known[:len(known)-1], Malformed},
		{"a character long", "pat", known + "0", Malformed},
		{"other characters, with the right checksum", "pat", "pat_-0123456789ABCDEFGHIJKLMNOPQR-3WPAO5", Malformed},
		{"nothing", "pat", "", Malformed},
		{"too long", "pat", strings.Repeat("x", MaxSecretLength+1), Malformed},
		{"a blank", "pat", "abc def", Malformed},
		{"a line break", "pat", known + "\n", Malformed},
		{"a NUL", "pat", "abc\x00", Malformed},
		{"beyond ASCII", "pat", "ä", Malformed},
		{"a list", "pat", known + "," + known, Malformed},
		{"quoted", "pat", `"` + known + `"`, Malformed},
		{"a backslash", "pat", `abc\def`, Malformed},
	} {
		if got := Inspect(c.prefix, c.secret); got != c.want {
			t.Errorf("%s: Inspect(%q, %q) = %v, want %v", c.name, c.prefix, c.secret, got, c.want)
		}
	}
}

// A CRC-32 finds every change within 32 bits, so every wrong character and every
// two neighbours exchanged.
func TestEveryTypoIsFound(t *testing.T) {
	for _, k := range append(knownSecrets, struct{ prefix, secret string }{"pat", NewSecret("pat")}) {
		for i := len(k.prefix) + 1; i < len(k.secret); i++ {
			for c := range byte(128) {
				typo := []byte(k.secret)
				typo[i] = c
				if got := Inspect(k.prefix, string(typo)); c != k.secret[i] && got != Malformed {
					t.Errorf("Inspect(%q) = %v, want Malformed: made of %q", typo, got, k.secret)
				}
			}
			missing := k.secret[:i] + k.secret[i+1:]
			if got := Inspect(k.prefix, missing); got != Malformed {
				t.Errorf("Inspect(%q) = %v, want Malformed: made of %q", missing, got, k.secret)
			}
			if i+1 < len(k.secret) && k.secret[i] != k.secret[i+1] {
				swapped := []byte(k.secret)
				swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
				if got := Inspect(k.prefix, string(swapped)); got != Malformed {
					t.Errorf("Inspect(%q) = %v, want Malformed: made of %q", swapped, got, k.secret)
				}
			}
		}
	}
}

func TestNewSecret(t *testing.T) {
	for _, prefix := range []string{"pat", "x", "acme_live", strings.Repeat("p", 20)} {
		pattern := regexp.MustCompile(Pattern(prefix))
		seen := map[string]bool{}
		var used [256]int
		for range 1000 {
			s := NewSecret(prefix)
			if got := Inspect(prefix, s); got != WellMade {
				t.Fatalf("Inspect(%q, NewSecret()) = %v, want WellMade: %q", prefix, got, s)
			}
			if got := pattern.FindString("token=" + s + "\n"); got != s {
				t.Fatalf("Pattern(%q) finds %q, want %q", prefix, got, s)
			}
			if seen[s] {
				t.Fatalf("NewSecret(%q) = %q, twice", prefix, s)
			}
			seen[s] = true
			for _, c := range []byte(s[len(prefix)+1 : len(prefix)+1+randomLength]) {
				used[c]++
			}
		}
		// 30,000 draws of 62 characters: 484 of each, give or take 22. Ten
		// times that is never seen by chance.
		for _, c := range []byte(base62) {
			if used[c] < 264 || used[c] > 704 {
				t.Errorf("NewSecret(%q): %q was drawn %d times of 30000, want about 484", prefix, c, used[c])
			}
		}
	}
}

func TestValidPrefix(t *testing.T) {
	for _, c := range []struct {
		prefix string
		want   string
	}{
		{"pat", ""},
		{"p", ""},
		{"acme_live", ""},
		{"Acme2", ""},
		{strings.Repeat("p", 20), ""},
		{"", "1 to 20"},
		{strings.Repeat("p", 21), "1 to 20"},
		{"_pat", "only between them"},
		{"pat_", "only between them"},
		{"pat-live", "want letters and digits"},
		{"påt", "want letters and digits"},
		{"pat ", "want letters and digits"},
	} {
		wantError(t, c.prefix, ValidPrefix(c.prefix), c.want)
	}
}

func TestHintOf(t *testing.T) {
	for _, c := range []struct{ prefix, secret, want string }{
		{"pat", "pat_0123456789ABCDEFGHIJKLMNOPQRST1fukiD", "pat_012…"},
		{"acme_live", "acme_live_zYxWvUtSrQpOnMlKjIhGfEdCbA98761PhbCt", "acme_live_zYx…"},
		{"acme", "pat_0123456789ABCDEFGHIJKLMNOPQRST1fukiD", "pat…"},
		{"pat", "eyJhbGciOiJIUzI1NiJ9", "eyJ…"},
		{"pat", "0123456789a", "012…"},
		{"pat", "0123456789", ""}, // less than eight would be left
		{"pat", "pat_short", ""},  // three characters would be most of it
		{"pat", "short", ""},
		{"pat", "", ""},
	} {
		if got := HintOf(c.prefix, c.secret); got != c.want {
			t.Errorf("HintOf(%q, %q) = %q, want %q", c.prefix, c.secret, got, c.want)
		}
	}
}

func TestHasSecret(t *testing.T) {
	known := "pat_0123456789ABCDEFGHIJKLMNOPQRST1fukiD"
	for text, want := range map[string]bool{
		known: true, "my " + known: true, "Bearer " + known + ", I think": true, "x/" + known + "xyz": true, "_" + known: true,
		NewSecret("a"): true, NewSecret("acme_live"): true, NewSecret("twentycharactersatmo"): true,
		"": false, "_": false, known[3:]: false, known[:len(known)-1]: false, known[:len(known)-1] + "E": false, "the pat of ci": false,
		"user_5f4dcc3b5aa765d61d8327deb882cf99aabbccdd": false, NewID(time.Now()): false,
	} {
		if got := HasSecret(text); got != want {
			t.Errorf("HasSecret(%q) = %v, want %v", text, got, want)
		}
	}
}

// Errors have no secrets in them, and say what they say otherwise.
func TestMasked(t *testing.T) {
	secret := NewSecret("my_pat")
	for text, want := range map[string]string{
		`unknown key "` + secret + `"`:          `unknown key "my_pat_REDACTED"`,
		secret[:40] + "; -" + secret + "x; end": "my_pat_REDACTED; -my_pat_REDACTED; end",
		"token " + NewID(time.Now()) + " of prod_" + NewID(time.Now()) + ": not found, want max_tokens": "",
	} {
		if want == "" {
			want = text
		}
		if got := Masked(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestInspectAllocatesNothing(t *testing.T) {
	secret := NewSecret("pat")
	if n := testing.AllocsPerRun(100, func() { Inspect("pat", secret) }); n != 0 {
		t.Errorf("Inspect allocates %v times, want 0", n)
	}
}

func FuzzInspect(f *testing.F) {
	for _, k := range knownSecrets {
		f.Add(k.prefix, k.secret)
		f.Add(k.prefix, k.secret[1:])
	}
	f.Add("pat", "pat_")
	f.Add("", "_")
	f.Add("pat", "eyJhbGciOiJIUzI1NiJ9.e30.dGVzdA")
	random, visible := regexp.MustCompile(`^[0-9A-Za-z]{36}$`), regexp.MustCompile(`^[!-~]+$`)
	f.Fuzz(func(t *testing.T, prefix, secret string) {
		form := Inspect(prefix, secret)
		// What the gate relies on, said in another way than the code does.
		body, ours := strings.CutPrefix(secret, prefix+"_")
		switch form {
		case WellMade:
			if !ours || !random.MatchString(body) {
				t.Errorf("Inspect(%q, %q) = WellMade", prefix, secret)
			}
			sum := checksum(secret[:len(secret)-checksumLength])
			if !strings.HasSuffix(secret, string(sum[:])) {
				t.Errorf("Inspect(%q, %q) = WellMade, but the checksum is %s", prefix, secret, sum)
			}
		case Foreign:
			if ours || !visible.MatchString(secret) || len(secret) > MaxSecretLength || strings.ContainsAny(secret, `,"\`) {
				t.Errorf("Inspect(%q, %q) = Foreign", prefix, secret)
			}
		case Malformed:
		default:
			t.Errorf("Inspect(%q, %q) = %d, which is no form", prefix, secret, form)
		}
		if hint := HintOf(prefix, secret); len(hint) >= len(secret) && hint != "" {
			t.Errorf("HintOf(%q, %q) = %q, which is no less than the secret", prefix, secret, hint)
		}
	})
}
