package caddyroutes

import "testing"

// Compiling an expression is dear, and each gate asks for the same ones: it is compiled
// once for a status.
func TestStatusesAreAskedOnce(t *testing.T) {
	for status, want := range map[int]bool{502: true, 401: false} {
		ask := func() {
			if matches, known := takesStatus("expression", []byte(`"{http.error.status_code} == 502"`), status); matches != want || !known {
				t.Errorf("%d: %v %v, want %v", status, matches, known, want)
			}
		}
		ask()
		if n := testing.AllocsPerRun(100, ask); n > 10 {
			t.Errorf("%d, asked again, takes %v allocations", status, n)
		}
	}
}
