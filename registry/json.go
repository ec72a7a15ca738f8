package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Decode reads one JSON value into v, of a type that the registry takes or one composed
// of these. Nothing in data is silently dropped: unknown keys, keys given twice, bytes
// and escapes that are not UTF-8 and anything after the value are ErrInvalid.
func Decode(data []byte, v any) error {
	if !utf8.Valid(data) {
		return invalid("not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return badJSON(err)
	}
	if string(bytes.TrimSpace(data)) == "null" {
		return invalid("want a JSON object, got null") // encoding/json leaves v as it is
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return invalid("not valid JSON: something follows the value")
	}
	if halfPair(data) {
		return invalid(`not valid UTF-8: half a surrogate pair (\ud800 to \udfff)`)
	}
	return CheckKeys(data)
}

// CheckKeys refuses what encoding/json accepts in data, which is valid JSON: a key given
// twice in an object, of which it takes the last, and one that isn't in lower case, as
// fields are.
func CheckKeys(data []byte) error { return checkKeys(json.NewDecoder(bytes.NewReader(data)), false) }

// halfPair reports whether data, which is valid JSON, has half of a surrogate pair. It
// stands for no character, and encoding/json puts another in its place.
func halfPair(data []byte) bool {
	for {
		i := bytes.IndexByte(data, '\\')
		if i < 0 {
			return false
		}
		data = data[i:]
		first, ok := escaped(data)
		if !ok {
			data = data[2:]
			continue
		}
		data = data[escapeLength:]
		if !utf16.IsSurrogate(first) {
			continue
		}
		if second, _ := escaped(data); utf16.DecodeRune(first, second) == utf8.RuneError {
			return true
		}
		data = data[escapeLength:]
	}
}

// escapeLength is that of \u0000.
const escapeLength = 6

// escaped returns what an escape such as \u0000 at the beginning of data stands for.
func escaped(data []byte) (r rune, ok bool) {
	if len(data) < escapeLength || data[0] != '\\' || data[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(data[2:escapeLength]), 16, 16)
	return rune(n), err == nil
}

// badJSON says what encoding/json found wrong, without the values it found.
func badJSON(err error) error {
	if _, ok := errors.AsType[*refusal](err); ok {
		return err
	}
	if wrongType, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		// The path names Go's embedded structs, too; the key is its end.
		key := wrongType.Field[strings.LastIndexByte(wrongType.Field, '.')+1:]
		got, _, _ := strings.Cut(wrongType.Value, " ") // "number 5"
		if wrongType.Field == "" {
			return invalid("want a JSON object, got a JSON %s", got)
		}
		if got == "number" && wrongType.Type.Kind() == reflect.Int {
			return invalid("%s: want a whole number of at most 18 digits", key)
		}
		return invalid("%s: a JSON %s doesn't belong here", key, got)
	}
	if key, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return invalid("unknown key %s", key)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return invalid("not valid JSON: it ends too early")
	}
	return invalid("not valid JSON: %v", err)
}

// freeKey is the key of objects whose keys the client chooses: names of headers.
const freeKey = "headers"

// checkKeys is CheckKeys of the next value. If keys are free, they may be in any case.
func checkKeys(dec *json.Decoder, free bool) error {
	begin, _ := dec.Token() // fails for a number that no float64 holds only, which has no keys
	if _, nested := begin.(json.Delim); !nested {
		return nil
	}
	keys := map[string]bool{}
	for dec.More() {
		key := ""
		if begin == json.Delim('{') {
			tok, _ := dec.Token()
			key = tok.(string)
			folded := strings.ToLower(strings.ToUpper(key))
			if keys[folded] {
				return invalid("key %q is given twice", key)
			}
			if folded != key && !free {
				return invalid("unknown key %q", key)
			}
			keys[folded] = true
		}
		if err := checkKeys(dec, key == freeKey); err != nil {
			return err
		}
	}
	dec.Token() // the end
	return nil
}
