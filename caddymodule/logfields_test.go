package caddymodule

import (
	"errors"
	"math"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// everyField has a field of each kind there is.
func everyField() []zapcore.Field {
	object := zapcore.ObjectMarshalerFunc(func(o zapcore.ObjectEncoder) error { o.AddString("in", "object"); return nil })
	return []zapcore.Field{
		zap.String("string", "s"), zap.ByteString("bytes", []byte("b")), zap.Binary("binary", []byte{1, 2}), zap.Bool("bool", true),
		zap.Int("int", -1), zap.Int64("int64", math.MinInt64), zap.Int32("int32", -3), zap.Int16("int16", -4), zap.Int8("int8", -5),
		zap.Uint("uint", 1), zap.Uint64("uint64", math.MaxUint64), zap.Uint32("uint32", 3), zap.Uint16("uint16", 4), zap.Uint8("uint8", 5), zap.Uintptr("uintptr", 6),
		zap.Float64("float64", 1.5), zap.Float32("float32", 2.5), zap.Complex128("complex128", 1+2i), zap.Complex64("complex64", 3+4i),
		zap.Duration("duration", time.Minute), zap.Time("time", time.Unix(1, 0).UTC()), zap.Error(errors.New("e")), zap.Reflect("reflect", map[string]int{"a": 1}),
		zap.Strings("array", []string{"a", "b"}), zap.Object("object", object), zap.Inline(object), zap.Namespace("space"), zap.String("last", "l"),
	}
}

// A logger made with fields writes what one writes that is given them in the
// line, in the same order.
func TestLogFields(t *testing.T) {
	e := &LogEncoder{wrapped: zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())}
	masks.Add(nil, "pat")
	want, err := e.EncodeEntry(zapcore.Entry{Message: "m"}, everyField())
	if err != nil {
		t.Fatal(err)
	}
	with := e.Clone()
	for _, f := range everyField() {
		f.AddTo(with)
	}
	other := with.Clone()
	zap.String("other", "o").AddTo(other)
	got, err := with.EncodeEntry(zapcore.Entry{Message: "m"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != want.String() {
		t.Errorf("got %s, want %s", got, want)
	}
	if methods := reflect.TypeFor[zapcore.ObjectEncoder]().NumMethod(); methods != 25 {
		t.Errorf("ObjectEncoder has %d methods: is there a field of each kind here?", methods)
	}
}

// What is not written is not encoded.
func TestLogFieldsWait(t *testing.T) {
	e := &LogEncoder{wrapped: zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())}
	asked := 0
	with := e.Clone()
	zap.Object("request", zapcore.ObjectMarshalerFunc(func(zapcore.ObjectEncoder) error { asked++; return nil })).AddTo(with)
	if asked != 0 {
		t.Error("an object is asked for its fields before a line is written")
	}
	if _, err := with.EncodeEntry(zapcore.Entry{}, nil); err != nil || asked != 1 {
		t.Errorf("asked %d times for one line, %v", asked, err)
	}
}

// BenchmarkLogger is what reverse_proxy does for every request.
func BenchmarkLogger(b *testing.B) {
	masks.Add(nil, "pat")
	json := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	r := &http.Request{Method: "GET", RequestURI: "/", Header: http.Header{"Accept": {"*/*"}, "User-Agent": {"node"}, "Accept-Encoding": {"gzip"}, "X-Forwarded-For": {"127.0.0.1"}}}
	for name, encoder := range map[string]zapcore.Encoder{"json": json, "patgate": &LogEncoder{wrapped: json}} {
		logger := zap.New(zapcore.NewCore(encoder, zapcore.AddSync(discard{}), zap.InfoLevel))
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l := logger.With(zap.String("upstream", "localhost:9000"), zap.Duration("duration", time.Second),
					zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: r}))
				if c := l.Check(zap.DebugLevel, "upstream roundtrip"); c != nil {
					b.Fatal("written")
				}
			}
		})
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
