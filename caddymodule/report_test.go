package caddymodule

import (
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/patgate/patgate/policy"
	"github.com/patgate/patgate/token"
)

// What report mode remembers of requests is little, however long they are.
func TestReportIsSmall(t *testing.T) {
	const findings, size = 300, 100_000
	r := newReport()
	before := heap()
	for i := range findings {
		long := strings.Repeat("x", size) + strconv.Itoa(i)
		r.add(&outcome{reason: policy.SpaceNotGranted, space: long[:size-i], resource: long[i:]}, &policy.Match{}, "M"+long, "/"+strconv.Itoa(i)+long)
	}
	if grown := heap() - before; grown > findings*size/10 {
		t.Errorf("%d findings take %d bytes", findings, grown)
	}
	found := r.answer().Findings
	if len(found) != findings {
		t.Fatalf("%d findings, want %d", len(found), findings)
	}
	if f := found[0]; len(f.Space) != token.MaxValueLength || len(f.Path) != maxReportedPath || f.Grant != nil {
		t.Errorf("a finding is %+v", f)
	}
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
