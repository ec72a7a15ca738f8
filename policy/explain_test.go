package policy

import "testing"

// An explanation names the option that admits what is refused, and the problem body
// doesn't: it isn't the client's to switch.
func TestExplainOption(t *testing.T) {
	condition := routes("GET /x public", "GET /x?a=1 any")
	for _, c := range []struct{ option, target, want string }{
		{"", "/x%2Fy", "encoded_slash allow"}, {"", "/x;y", "semicolon allow"}, {"", "/x%3By", "semicolon allow"}, {"", "/x?b;c", "semicolon allow"},
		{"", "/x?/y%2Fz", "encoded_slash allow"}, {"", "/x%5Cy", ""}, {"", "/x/..", ""}, {"", "/x?b=%zz", ""}, {"", "/x", ""}, {"", "/y", ""},
		{"allow", "/x%2Fy", ""}, {"allow", "/x;y", ""}, {"allow", "/x?b;c", ""}, {"allow", "/x?b;a=1", ""},
	} {
		p := compile(t, Config{Default: "deny", EncodedSlash: c.option, Semicolon: c.option, Routes: condition})
		e := p.Explain(request("GET "+c.target), false, nil)
		if e.Option != c.want {
			t.Errorf("GET %s, options %q: %s (%s), and option %q, want %q", c.target, c.option, e.Decision, e.Detail, e.Option, c.want)
		}
		if refused := e.Decision == AmbiguousRequest.String(); c.want != "" && !refused {
			t.Errorf("GET %s: %s, want it refused", c.target, e.Decision)
		}
	}
}
