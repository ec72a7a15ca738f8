package caddymodule

import (
	"fmt"
	"strings"
	"testing"

	"github.com/patgate/patgate/internal/redistest"
)

// Of a store that has lost a token, an export has the others, however few they are, and fails.
func TestExportOfWhatIsLeft(t *testing.T) {
	server := redistest.Start(t)
	s := newAdminServer(t)
	s.load(strings.Replace(fmt.Sprintf(adminCaddyfile, s.dir), "store embedded "+s.dir+"/tokens.db", "store redis redis://"+server.Addr, 1))
	left, _ := s.create("alice")
	s.create("alice")
	newest := server.Do("zrevrangebylex", "{patgate}:ids", "+", "-").([]any)[0].(string)
	_, digest, _ := strings.Cut(newest, "\x00")
	server.Do("del", "patgate:t:"+digest)

	stdout, stderr, err := told(t, "", "token", "export", "--address", "unix/"+s.dir+"/admin.sock")
	if err == nil || !strings.Contains(stderr, "the server broke the answer off, and its log says why") {
		t.Errorf("the export says %q and ends with %v, want that it broke off", stderr, err)
	}
	if strings.Count(stdout, "\n") != 1 || !strings.Contains(stdout, left) {
		t.Errorf("the export is %q, want the token that is left", stdout)
	}
}
