package transport

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
)

// BenchmarkRoundTrip is a small answer over a connection that is kept, both ways.
func BenchmarkRoundTrip(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answer(c)
		}
	}()
	std := &http.Transport{MaxIdleConnsPerHost: 1024}
	defer std.CloseIdleConnections()
	s := newShort(b)
	s.MaxIdle = 1024
	for name, rt := range map[string]http.RoundTripper{"net/http": std, "short": s} {
		get := func() error {
			r, err := http.NewRequest("GET", "http://"+l.Addr().String()+"/", nil)
			if err != nil {
				return err
			}
			r.Header["Accept-Encoding"], r.Header["User-Agent"] = []string{"identity"}, []string{"bench"}
			res, err := rt.RoundTrip(r)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			_, err = io.Copy(io.Discard, res.Body)
			return err
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := get(); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

var readers = sync.Pool{New: func() any { return bufio.NewReader(nil) }}

func answer(c net.Conn) {
	defer c.Close()
	r := readers.Get().(*bufio.Reader)
	defer readers.Put(r)
	r.Reset(c)
	for {
		for {
			line, err := r.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) == 2 {
				break
			}
		}
		if _, err := io.WriteString(c, ok); err != nil {
			return
		}
	}
}
