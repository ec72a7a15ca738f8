//go:build linux

package main

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"strings"
	"testing"
)

// The measurement of a flood works. What it measures here means nothing.
func TestFlood(t *testing.T) {
	out, err := quick(t, measureFlood)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"plain Caddy, told what is garbage", "patgate", "0 held tokens were pushed out"} {
		if !strings.Contains(out, text) {
			t.Errorf("the report doesn't say %q:\n%s", text, out)
		}
	}
}

// Each batch is as many requests, of all three kinds, however few secrets there are.
func TestFloodBatches(t *testing.T) {
	t.Parallel()
	for _, tokens := range []int{1, 20, 1000} {
		w := newWorkload(tokens)
		kinds := map[string]int{}
		for _, batch := range floodBatches(w) {
			r := bufio.NewReader(bytes.NewReader(batch))
			for n := range floodBatch {
				req, err := http.ReadRequest(r)
				if err != nil {
					t.Fatalf("request %d of a batch: %v", n, err)
				}
				switch secret := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer "); {
				case secret == "":
					kinds["none"]++
				case strings.HasSuffix(secret, "x") && len(secret) > len(w.unknown[0]):
					kinds["malformed"]++
				default:
					kinds["unknown"]++
				}
			}
			if rest := r.Buffered(); rest > 0 {
				t.Errorf("%d bytes follow the last request of a batch", rest)
			}
		}
		if len(kinds) != 3 {
			t.Errorf("with %d tokens: %v, want all three kinds", tokens, kinds)
		}
	}
}

// Rejections are counted wherever reads divide them; what is forwarded is no
// rejection.
func TestReadRejections(t *testing.T) {
	t.Parallel()
	const no = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"
	for name, c := range map[string]struct {
		reads []string
		ok    bool
	}{
		"one read":        {[]string{no + no + no}, true},
		"one each":        {[]string{no, no, no}, true},
		"in pieces":       {[]string{no[:3], no[3:40], no[40:] + no + no[:len(no)-1], no[len(no)-1:]}, true},
		"one too many":    {[]string{no + no + no + no}, false},
		"one forwarded":   {[]string{no, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", no}, false},
		"the end is near": {[]string{no, no, no[:20]}, false},
	} {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			for _, read := range c.reads {
				server.Write([]byte(read))
			}
		}()
		if err := readRejections(client, make([]byte, 4096), 3); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		client.Close()
	}
}
