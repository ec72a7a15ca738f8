package caddymodule

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/caddyserver/caddy/v2"
)

// Duration is a [caddy.Duration] that says in which field it is where it can't be read.
type Duration caddy.Duration

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(raw []byte) error {
	err := (*caddy.Duration)(d).UnmarshalJSON(raw)
	if err != nil && raw[0] == '"' { // encoding/json adds the field to errors of this type only
		return &json.UnmarshalTypeError{Value: fmt.Sprintf("string %s (%v)", raw, err), Type: reflect.TypeFor[Duration]()}
	}
	return err
}
