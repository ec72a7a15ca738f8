package openapi

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
)

// TestJSON: all that is valid JSON is read, and has lines.
func TestJSON(t *testing.T) {
	emoji := "\U0001f600"
	for _, test := range []struct{ name, text string }{
		{"surrogates", `"\ud83d\ude00"`},
		{"as it is", `"` + emoji + `"`},
	} {
		for _, around := range []string{"%s", "\ufeff\n%s", "\r\n\t%s\n"} {
			text := fmt.Sprintf(around, "{\n\t\"openapi\": \"3.0.0\", \"x\": \"\x7f\", \""+strings.Repeat("x", 2000)+"\"\n:\n{},\n\t\"paths\":\n{\"\\/a\": {\n\t\"get\": {\"operationId\": "+test.text+", \"tags\": [1.0, true, null]}}}}")
			d, err := read(t, text)
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
				continue
			}
			line := strings.Count(text[:strings.Index(text, "get")], "\n") + 1
			want := operation{id: emoji, method: "GET", path: "/a", tags: []string{"1.0", "true"}, at: "api.yaml:" + strconv.Itoa(line), base: basePath{path: "/"}}
			if !reflect.DeepEqual(d.operations, []operation{want}) {
				t.Errorf("%s: %+v, want %+v", test.name, d.operations, want)
			}
		}
	}
	// What only looks like JSON is YAML.
	if d, err := read(t, "{openapi: 3.0.0, paths: {/a: {get: {}}},} # short\n"); err != nil || len(d.operations) != 1 {
		t.Errorf("a flow mapping: %v, %v", d, err)
	}
}

// TestEncodings: YAML may begin with a byte order mark, and be in UTF-16.
func TestEncodings(t *testing.T) {
	text := paths("  /a: {get: {operationId: \u00fc}}\n")
	wide := []byte("\xff\xfe")
	for _, c := range utf16.Encode([]rune(text)) {
		wide = binary.LittleEndian.AppendUint16(wide, c)
	}
	for _, text := range []string{text, "\ufeff" + text, string(wide)} {
		if d, err := read(t, text); err != nil || d.operations[0].id != "\u00fc" {
			t.Errorf("%q: %v, %v", text[:8], d, err)
		}
	}
}
