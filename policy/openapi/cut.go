package openapi

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/patgate/patgate/internal/spelling"
)

// Bounds on documents, far above those of real ones: aliases and references
// could make a small file a huge document.
const (
	maxNodes = 1 << 20 // that are kept
	maxChain = 16      // references and merges that lead from one to the next
)

// cutter keeps the parts of a document that matter to a gate, as [shape] says. It resolves
// aliases, merge keys and references to files beside the document, but only in these parts:
// references in schemas, which are most of them, may lead nowhere.
type cutter struct {
	files map[string]*source
	nodes int
}

// tree is what is kept of a node: a text, or the items of a list or mapping, in their order.
type tree struct {
	key   string // in a mapping, where each is once
	text  string
	inner []*tree
	from  *source
	line  int
}

// at returns where the node is: file:line.
func (t *tree) at() string { return t.from.name + ":" + strconv.Itoa(t.line) }

// get returns a field of a mapping of few, or nil.
func (t *tree) get(key string) *tree {
	for _, field := range t.all() {
		if field.key == key {
			return field
		}
	}
	return nil
}

// all returns what is in a list or mapping; t may be nil.
func (t *tree) all() []*tree {
	if t == nil {
		return nil
	}
	return t.inner
}

// value returns the text; t may be nil.
func (t *tree) value() string {
	if t == nil {
		return ""
	}
	return t.text
}

// entry is a field of a mapping, with the file it is in.
type entry struct {
	key, value *yaml.Node
	from       *source
}

// cut returns what the shape keeps of a node; nil for nothing. The location is the keys that
// lead to it.
func (c *cutter) cut(n *yaml.Node, from *source, s *shape, location ...string) (*tree, error) {
	n = dealias(n)
	fail := func(want string) (*tree, error) {
		return nil, fmt.Errorf("%s: %s: want %s", from.place(n), pointer(location), want)
	}
	if err := c.count(n, from, location); err != nil {
		return nil, err
	}
	if isNull(n) && !s.strict {
		return nil, nil
	}
	out := &tree{text: n.Value, from: from, line: n.Line}
	switch {
	case s.list != nil:
		if n.Kind != yaml.SequenceNode {
			return fail("a list")
		}
		for i, item := range n.Content {
			kept, err := c.cut(item, from, s.list, append(location, strconv.Itoa(i))...)
			if err != nil {
				return nil, err
			}
			if kept != nil {
				out.inner = append(out.inner, kept)
			}
		}
	case s.named != nil || s.fields != nil:
		if n.Kind != yaml.MappingNode {
			return fail("a mapping")
		}
		entries, err := c.entries(n, from, s, location, 0)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if err := c.cutField(out, e, s, append(location, e.key.Value)); err != nil {
				return nil, err
			}
		}
	case n.Kind != yaml.ScalarNode || isNull(n):
		return fail("a text")
	}
	return out, nil
}

// count refuses documents that become too large.
func (c *cutter) count(n *yaml.Node, from *source, location []string) error {
	if c.nodes++; c.nodes > maxNodes {
		return fmt.Errorf("%s: %s: too large, or made so by aliases", from.place(n), pointer(location))
	}
	return nil
}

// cutField adds a field to a mapping, if its shape has it.
func (c *cutter) cutField(out *tree, e entry, s *shape, location []string) error {
	inner := s.named
	if s.fields != nil {
		inner = s.fields[e.key.Value]
		// Passed over, an operation would ask for what all others do.
		if inner == nil && s.fields["security"] != nil && spelling.Slip(e.key.Value, "security") {
			return fmt.Errorf("%s: %s: there is no %q; did you mean security?", e.from.place(e.key), pointer(location[:len(location)-1]), e.key.Value)
		}
	}
	if inner == nil || inner == pathShape && strings.HasPrefix(e.key.Value, "x-") {
		return nil
	}
	if inner == pathShape && !strings.HasPrefix(e.key.Value, "/") {
		return fmt.Errorf("%s: %s: a path begins with /", e.from.place(e.key), pointer(location))
	}
	value, err := c.cut(e.value, e.from, inner, location...)
	if err != nil || value == nil {
		return err
	}
	value.key, value.from, value.line = e.key.Value, e.from, e.key.Line
	out.inner = append(out.inner, value)
	return nil
}

// entries returns the fields of a mapping, those merged into it and, where it
// may be a reference, those it refers to.
func (c *cutter) entries(n *yaml.Node, from *source, s *shape, location []string, depth int) (all []entry, err error) {
	if depth == maxChain {
		return nil, fmt.Errorf("%s: %s: references or merges never end", from.place(n), pointer(location))
	}
	var further []entry
	add := func(n *yaml.Node, from *source) error {
		more, err := c.entries(n, from, s, location, depth+1)
		further = append(further, more...)
		return err
	}
	seen := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := dealias(n.Content[i]), dealias(n.Content[i+1])
		if err := c.count(key, from, location); err != nil {
			return nil, err
		}
		fail := func(why error) error { return fmt.Errorf("%s: %s: %w", from.place(key), pointer(location), why) }
		if key.Kind != yaml.ScalarNode {
			return nil, fail(errors.New("a key must be a text"))
		}
		if first := seen[key.Value]; first != nil {
			return nil, fail(twice(key, first))
		}
		seen[key.Value] = key
		switch {
		case key.Tag == "!!merge":
			merged := []*yaml.Node{value}
			if value.Kind == yaml.SequenceNode {
				merged = value.Content
			}
			for _, m := range merged {
				if m = dealias(m); m.Kind != yaml.MappingNode {
					return nil, fail(errors.New("want a mapping to merge"))
				}
				if err := add(m, from); err != nil {
					return nil, err
				}
			}
		case s.ref && key.Value == "$ref":
			target, in, err := c.resolve(value, from)
			if err != nil && s.loose {
				continue
			}
			if err != nil {
				return nil, fail(err)
			}
			if err := add(target, in); err != nil {
				return nil, err
			}
		default:
			all = append(all, entry{key, value, from})
		}
	}
	for _, e := range further { // the mapping's own fields win
		if seen[e.key.Value] == nil {
			seen[e.key.Value] = e.key
			all = append(all, e)
		}
	}
	return all, nil
}

// twice is the error of a key that a mapping has already.
func twice(key, first *yaml.Node) error {
	return fmt.Errorf("%q is given twice, first on line %d", key.Value, first.Line)
}

// open reads a file of the document.
func (c *cutter) open(name string) (*source, error) {
	if s := c.files[name]; s != nil {
		return s, nil
	}
	s, err := parseFile(name)
	if err == nil {
		c.files[name] = s
	}
	return s, err
}

// resolve returns the mapping that a reference refers to, and the file it is in.
func (c *cutter) resolve(ref *yaml.Node, from *source) (*yaml.Node, *source, error) {
	if ref.Kind != yaml.ScalarNode || isNull(ref) {
		return nil, nil, errors.New("$ref: want a text")
	}
	fail := func(why string) (*yaml.Node, *source, error) {
		return nil, nil, fmt.Errorf("$ref %q: %s", ref.Value, why)
	}
	u, err := url.Parse(ref.Value)
	if err != nil || ref.Value == "" {
		return fail("want a file beside the document, #/a/b, or both")
	}
	if u.Scheme != "" || u.Host != "" {
		return fail("only files beside the document are read")
	}
	if u.Path != "" {
		name := filepath.FromSlash(u.Path)
		if !filepath.IsAbs(name) {
			name = filepath.Join(filepath.Dir(from.name), name)
		}
		if from, err = c.open(name); err != nil {
			return nil, nil, fmt.Errorf("$ref %q: %w", ref.Value, err)
		}
	}
	n := dealias(from.root)
	parts := strings.Split(u.Fragment, "/")
	if parts[0] != "" {
		return fail("want # to be followed by /")
	}
	for _, part := range parts[1:] {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		if n, err = from.child(n, part); err != nil {
			return nil, nil, fmt.Errorf("$ref %q: %w", ref.Value, err)
		}
	}
	if n.Kind != yaml.MappingNode {
		return fail("want a mapping there, on line " + strconv.Itoa(n.Line) + " of " + from.name)
	}
	return n, from, nil
}

// child returns the value of a field or the item of a list.
func (s *source) child(n *yaml.Node, key string) (*yaml.Node, error) {
	var child *yaml.Node
	switch n.Kind {
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(key); err == nil && 0 <= i && i < len(n.Content) {
			child = n.Content[i]
		}
	case yaml.MappingNode:
		fields, err := s.fields(n)
		if err != nil {
			return nil, err
		}
		if i, ok := fields[key]; ok {
			child = n.Content[i+1]
		}
	}
	if child == nil {
		return nil, errors.New(s.name + " has nothing there")
	}
	return dealias(child), nil
}

// fields returns the indexes of a mapping's keys. It remembers them: thousands of references
// may lead through one mapping.
func (s *source) fields(n *yaml.Node) (map[string]int, error) {
	if fields := s.index[n]; fields != nil {
		return fields, nil
	}
	fields := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := dealias(n.Content[i])
		if key.Kind != yaml.ScalarNode {
			continue
		}
		if first, there := fields[key.Value]; there {
			return nil, fmt.Errorf("%s: %w", s.place(key), twice(key, n.Content[first]))
		}
		fields[key.Value] = i
	}
	s.index[n] = fields
	return fields, nil
}

// isNull reports whether a node is a null, or left empty.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// dealias returns the node that an alias refers to, which is none itself.
func dealias(n *yaml.Node) *yaml.Node {
	if n.Alias != nil {
		return n.Alias
	}
	return n
}

// pointer returns a location as a JSON pointer (RFC 6901).
func pointer(location []string) string {
	parts := slices.Clone(location)
	for i, p := range parts {
		parts[i] = strings.NewReplacer("~", "~0", "/", "~1").Replace(p)
	}
	return "#/" + strings.Join(parts, "/")
}
