package openapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxFileSize and maxDepth bound what is parsed; the YAML library has the same
// bound on depth.
const (
	maxFileSize = 32 << 20
	maxDepth    = 10000
)

// source is a file of a document.
type source struct {
	name  string
	root  *yaml.Node
	index map[*yaml.Node]map[string]int // where keys are in mappings that references go through
}

// place returns where a node is: file:line.
func (s *source) place(n *yaml.Node) string { return s.name + ":" + strconv.Itoa(n.Line) }

// parseFile reads a file of a document.
func parseFile(name string) (*source, error) {
	body, err := readFile(name)
	if err != nil {
		return nil, err
	}
	s := &source{name: name, index: map[*yaml.Node]map[string]int{}}
	// Not all JSON is YAML: there, characters beyond U+FFFF are escaped as two, and
	// keys may be of any length.
	text := bytes.TrimPrefix(body, []byte("\ufeff"))
	if bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")) {
		root, wrong := parseJSON(text)
		if wrong != nil {
			root, err = parseYAML(body) // which may have flow mappings
		}
		if err != nil {
			return nil, s.inFile(wrong)
		}
		s.root = root
		return s, nil
	}
	if s.root, err = parseYAML(body); err != nil {
		return nil, s.inFile(err)
	}
	return s, nil
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err == nil && len(body) > maxFileSize {
		err = fmt.Errorf("%s: larger than %d MiB", name, maxFileSize>>20)
	}
	return body, err
}

func parseYAML(body []byte) (*yaml.Node, error) {
	var first, more yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&first); err == io.EOF {
		return nil, errors.New("it is empty")
	} else if err != nil {
		return nil, err
	}
	if err := d.Decode(&more); err == nil {
		return nil, atLine(more.Line, "a second document begins; want one in a file")
	} else if err != io.EOF {
		return nil, err
	}
	return first.Content[0], nil
}

func atLine(line int, why string) error { return fmt.Errorf("yaml: line %d: %s", line, why) }

// inFile returns an error of the YAML library, "yaml: line 7: …", as one of the
// file. Where it is of the grammar, the library counts lines from 0.
func (s *source) inFile(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if line, why, ok := strings.Cut(strings.TrimPrefix(text, "line "), ": "); ok {
		if n, err := strconv.Atoi(line); err == nil {
			if strings.HasPrefix(why, "did not find expected ") {
				n++
			}
			return fmt.Errorf("%s:%d: %s", s.name, n, why)
		}
	}
	return fmt.Errorf("%s: %s", s.name, text)
}

// jsonReader reads JSON as nodes.
type jsonReader struct {
	*json.Decoder
	text []byte
	line int
	read int64 // bytes whose lines are counted
}

func parseJSON(text []byte) (*yaml.Node, error) {
	if !utf8.Valid(text) { // which the decoder would mend
		return nil, errors.New("it isn't UTF-8")
	}
	r := &jsonReader{Decoder: json.NewDecoder(bytes.NewReader(text)), text: text, line: 1}
	r.UseNumber()
	root, err := r.value(0)
	if err == nil {
		if _, err = r.Token(); err == io.EOF {
			return root, nil
		}
		r.count(r.InputOffset())
		err = errors.New("something follows the document")
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if wrong, ok := errors.AsType[*json.SyntaxError](err); ok {
		r.count(wrong.Offset)
	}
	return nil, atLine(r.line, err.Error())
}

// count counts the lines up to a place in the text.
func (r *jsonReader) count(to int64) {
	to = max(r.read, min(to, int64(len(r.text)))) // an error may be past the end
	r.line += bytes.Count(r.text[r.read:to], []byte("\n"))
	r.read = to
}

// value reads a value; nil is the end of a list or mapping.
func (r *jsonReader) value(depth int) (*yaml.Node, error) {
	t, err := r.Token()
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("exceeded max depth of %d", maxDepth)
	}
	r.count(r.InputOffset())
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: r.line}
	switch t := t.(type) {
	case string:
		n.Tag, n.Value = "!!str", t
	case json.Number:
		n.Tag, n.Value = "!!float", t.String()
	case bool:
		n.Tag, n.Value = "!!bool", strconv.FormatBool(t)
	case nil:
		n.Tag, n.Value = "!!null", "null"
	case json.Delim:
		switch t {
		case '{':
			n.Kind = yaml.MappingNode
		case '[':
			n.Kind = yaml.SequenceNode
		default:
			return nil, nil
		}
		for {
			inner, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			if inner == nil {
				break
			}
			n.Content = append(n.Content, inner)
		}
	}
	return n, nil
}
