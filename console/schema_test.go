package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// openAPI is the part of an OpenAPI document that the tests judge by.
type openAPI struct {
	Paths      map[string]map[string]json.RawMessage `json:"paths"` // by method; "parameters" for all
	Components struct {
		Schemas map[string]schema `json:"schemas"`
	} `json:"components"`
}

// operation is what can be asked for at a path.
type operation struct {
	OperationID string          `json:"operationId"`
	Summary     string          `json:"summary"`
	Security    json.RawMessage `json:"security"`
	Parameters  []struct {
		Name, In string
		Schema   schema
	} `json:"parameters"`
	RequestBody *struct {
		Required bool
		Content  map[string]struct{ Schema schema }
	} `json:"requestBody"`
	Responses map[string]struct {
		Content map[string]struct{ Schema schema }
	} `json:"responses"`
}

// schema is a JSON Schema, as far as the document uses it: any other keyword
// makes check fail, so that none is passed over.
type schema map[string]any

// check says in what a value is not as the schema wants it.
func (d *openAPI) check(at string, s schema, v any) error {
	for keyword, want := range s {
		var err error
		switch keyword {
		case "description", "minimum", "maximum", "required", "additionalProperties":
			// required and additionalProperties are judged with properties
		case "$ref":
			name := strings.TrimPrefix(want.(string), "#/components/schemas/")
			known, ok := d.Components.Schemas[name]
			if !ok {
				return fmt.Errorf("%s: no schema %s", at, name)
			}
			err = d.check(at, known, v)
		case "type":
			err = checkType(at, want, v)
		case "enum":
			if !slices.Contains(want.([]any), v) {
				err = fmt.Errorf("%s: %v is none of %v", at, v, want)
			}
		case "format":
			if text, ok := v.(string); ok {
				if _, bad := time.Parse(time.RFC3339, text); bad != nil || want != "date-time" {
					err = fmt.Errorf("%s: %q is no %v", at, text, want)
				}
			}
		case "items":
			list, _ := v.([]any)
			for i, item := range list {
				if err = d.check(fmt.Sprintf("%s[%d]", at, i), want.(map[string]any), item); err != nil {
					return err
				}
			}
		case "properties":
			err = d.checkObject(at, s, v)
		case "oneOf":
			matches := 0
			for _, one := range want.([]any) {
				if d.check(at, one.(map[string]any), v) == nil {
					matches++
				}
			}
			if matches != 1 {
				err = fmt.Errorf("%s: matches %d of the alternatives, want 1", at, matches)
			}
		default:
			err = fmt.Errorf("%s: the schema has %s, which the test doesn't know", at, keyword)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkType(at string, want, v any) error {
	types := []any{want}
	if several, ok := want.([]any); ok {
		types = several
	}
	is := "null"
	switch n := v.(type) {
	case string:
		is = "string"
	case bool:
		is = "boolean"
	case float64:
		if is = "number"; n == float64(int64(n)) {
			is = "integer"
		}
	case []any:
		is = "array"
	case map[string]any:
		is = "object"
	}
	if !slices.Contains(types, any(is)) {
		return fmt.Errorf("%s: %s, want %v", at, is, types)
	}
	return nil
}

func (d *openAPI) checkObject(at string, s schema, v any) error {
	object, ok := v.(map[string]any)
	if !ok {
		return nil // which type judges
	}
	properties := s["properties"].(map[string]any)
	if required, ok := s["required"].([]any); ok {
		for _, name := range required {
			if _, ok := object[name.(string)]; !ok {
				return fmt.Errorf("%s: lacks %v", at, name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		want, ok := properties[name]
		if !ok && s["additionalProperties"] == false {
			return fmt.Errorf("%s: has %s, which isn't described", at, name)
		}
		if ok {
			if err := d.check(at+"."+name, want.(map[string]any), object[name]); err != nil {
				return err
			}
		}
	}
	return nil
}
