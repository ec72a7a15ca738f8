package caddymodule

import (
	"slices"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logFields is an encoder's fields, kept as they are until a line is written.
// reverse_proxy makes a logger with the whole request for every request, and
// hardly ever writes with it: what is not written need not be encoded or masked.
type logFields []zapcore.Field

func (l *logFields) add(f zapcore.Field) { *l = append(slices.Grow(*l, 4), f) }

// The methods of zapcore.ObjectEncoder.

func (l *logFields) AddArray(key string, v zapcore.ArrayMarshaler) error {
	l.add(zap.Array(key, v))
	return nil
}

func (l *logFields) AddObject(key string, v zapcore.ObjectMarshaler) error {
	l.add(zap.Object(key, v))
	return nil
}

func (l *logFields) AddReflected(key string, v any) error {
	l.add(zap.Reflect(key, v))
	return nil
}

func (l *logFields) AddBinary(key string, v []byte)          { l.add(zap.Binary(key, slices.Clone(v))) }
func (l *logFields) AddByteString(key string, v []byte)      { l.add(zap.String(key, string(v))) }
func (l *logFields) AddBool(key string, v bool)              { l.add(zap.Bool(key, v)) }
func (l *logFields) AddComplex128(key string, v complex128)  { l.add(zap.Complex128(key, v)) }
func (l *logFields) AddComplex64(key string, v complex64)    { l.add(zap.Complex64(key, v)) }
func (l *logFields) AddDuration(key string, v time.Duration) { l.add(zap.Duration(key, v)) }
func (l *logFields) AddFloat64(key string, v float64)        { l.add(zap.Float64(key, v)) }
func (l *logFields) AddFloat32(key string, v float32)        { l.add(zap.Float32(key, v)) }
func (l *logFields) AddInt(key string, v int)                { l.add(zap.Int(key, v)) }
func (l *logFields) AddInt64(key string, v int64)            { l.add(zap.Int64(key, v)) }
func (l *logFields) AddInt32(key string, v int32)            { l.add(zap.Int32(key, v)) }
func (l *logFields) AddInt16(key string, v int16)            { l.add(zap.Int16(key, v)) }
func (l *logFields) AddInt8(key string, v int8)              { l.add(zap.Int8(key, v)) }
func (l *logFields) AddString(key, v string)                 { l.add(zap.String(key, v)) }
func (l *logFields) AddTime(key string, v time.Time)         { l.add(zap.Time(key, v)) }
func (l *logFields) AddUint(key string, v uint)              { l.add(zap.Uint(key, v)) }
func (l *logFields) AddUint64(key string, v uint64)          { l.add(zap.Uint64(key, v)) }
func (l *logFields) AddUint32(key string, v uint32)          { l.add(zap.Uint32(key, v)) }
func (l *logFields) AddUint16(key string, v uint16)          { l.add(zap.Uint16(key, v)) }
func (l *logFields) AddUint8(key string, v uint8)            { l.add(zap.Uint8(key, v)) }
func (l *logFields) AddUintptr(key string, v uintptr)        { l.add(zap.Uintptr(key, v)) }
func (l *logFields) OpenNamespace(key string)                { l.add(zap.Namespace(key)) }

var _ zapcore.ObjectEncoder = (*logFields)(nil)
