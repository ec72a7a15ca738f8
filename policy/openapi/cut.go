package openapi

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pb33f/go-yaml"
)

// Bounds on documents, far above those of real ones: aliases and references
// could make a small file a huge document.
const (
	maxFileSize = 32 << 20
	maxNodes    = 1 << 20 // that are kept
	maxChain    = 16      // references and merges that lead from one to the next
)

// source is a file of a document.
type source struct {
	name string
	root *yaml.Node
}

// cutter keeps of a document what matters to a gate, as [shape] has it: aliases,
// merge keys and references to files beside it resolved. The library reads only
// that: it need not follow the schemas, nor the references in them, most of
// which may lead nowhere for all the gate cares.
type cutter struct {
	files  map[string]*source
	places map[string]string // where operations stand, by path and method
	nodes  int
}

// entry is a field of a mapping, with the file it stands in.
type entry struct {
	key, value *yaml.Node
	from       *source
}

// place returns where a node stands.
func (s *source) place(n *yaml.Node) string { return s.name + ":" + strconv.Itoa(n.Line) }

// cut returns a copy of the node with what its shape has. Its location is the
// keys that lead to it.
func (c *cutter) cut(n *yaml.Node, from *source, s *shape, location ...string) (*yaml.Node, error) {
	n = dealias(n)
	fail := func(want string) (*yaml.Node, error) {
		return nil, fmt.Errorf("%s: %s: want %s", from.place(n), pointer(location), want)
	}
	if c.nodes++; c.nodes > maxNodes {
		return nil, fmt.Errorf("%s: %s: aliases make the document too large", from.place(n), pointer(location))
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" && !s.strict {
		return nil, nil
	}
	out := *n
	out.Content, out.Alias, out.Anchor = nil, nil, ""
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
				out.Content = append(out.Content, kept)
			}
		}
	case s.named != nil || s.fields != nil:
		if n.Kind != yaml.MappingNode {
			return fail("a mapping")
		}
		entries, err := c.entries(n, from, s.ref, location, 0)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if err := c.cutField(&out, e, s, append(location, e.key.Value)); err != nil {
				return nil, err
			}
		}
	case n.Kind != yaml.ScalarNode || n.Tag == "!!null":
		return fail("a text")
	}
	return &out, nil
}

// cutField adds a field to a mapping, if its shape has it.
func (c *cutter) cutField(out *yaml.Node, e entry, s *shape, location []string) error {
	inner := s.named
	if s.fields != nil {
		inner = s.fields[e.key.Value]
	}
	if inner == nil || inner == pathItem && strings.HasPrefix(e.key.Value, "x-") {
		return nil
	}
	if inner == pathItem && !strings.HasPrefix(e.key.Value, "/") {
		return fmt.Errorf("%s: %s: a path begins with /", e.from.place(e.key), pointer(location))
	}
	if inner == operation {
		c.places[strings.Join(location, " ")] = e.from.place(e.key)
	}
	value, err := c.cut(e.value, e.from, inner, location...)
	if err != nil || value == nil {
		return err
	}
	key := *e.key
	key.Anchor = ""
	out.Content = append(out.Content, &key, value)
	return nil
}

// entries returns the fields of a mapping, those merged into it and, where it
// may be a reference, those it refers to.
func (c *cutter) entries(n *yaml.Node, from *source, ref bool, location []string, depth int) (all []entry, err error) {
	if depth == maxChain {
		return nil, fmt.Errorf("%s: %s: references or merges go on and on", from.place(n), pointer(location))
	}
	var further []entry
	add := func(n *yaml.Node, from *source) error {
		if n = dealias(n); n.Kind != yaml.MappingNode {
			return fmt.Errorf("%s: %s: want a mapping to merge", from.place(n), pointer(location))
		}
		more, err := c.entries(n, from, ref, location, depth+1)
		further = append(further, more...)
		return err
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if c.nodes++; c.nodes > maxNodes {
			return nil, fmt.Errorf("%s: %s: aliases make the document too large", from.place(n), pointer(location))
		}
		key, value := dealias(n.Content[i]), n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			return nil, fmt.Errorf("%s: %s: a key must be a text", from.place(key), pointer(location))
		case key.Tag == "!!merge":
			if merged := dealias(value); merged.Kind == yaml.SequenceNode {
				for _, m := range merged.Content {
					if err := add(m, from); err != nil {
						return nil, err
					}
				}
			} else if err := add(merged, from); err != nil {
				return nil, err
			}
		case ref && key.Value == "$ref":
			target, in, err := c.resolve(dealias(value).Value, from)
			if err == nil {
				err = add(target, in)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", from.place(key), pointer(location), err)
			}
		default:
			all = append(all, entry{key, value, from})
		}
	}
	seen := make(map[string]*yaml.Node, len(all))
	for _, e := range all {
		if first, twice := seen[e.key.Value]; twice {
			return nil, fmt.Errorf("%s: %s: %q stands twice, first on line %d", from.place(e.key), pointer(location), e.key.Value, first.Line)
		}
		seen[e.key.Value] = e.key
	}
	for _, e := range further { // what stands there itself comes first
		if seen[e.key.Value] == nil {
			seen[e.key.Value] = e.key
			all = append(all, e)
		}
	}
	return all, nil
}

// resolve returns what a reference refers to, and the file it is in.
func (c *cutter) resolve(ref string, from *source) (*yaml.Node, *source, error) {
	fail := func(why string) (*yaml.Node, *source, error) {
		return nil, nil, fmt.Errorf("$ref %q: %s", ref, why)
	}
	u, err := url.Parse(ref)
	if err != nil || ref == "" {
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
			return nil, nil, fmt.Errorf("$ref %q: %w", ref, err)
		}
	}
	n := from.root
	if u.Fragment == "" {
		return n, from, nil
	}
	parts := strings.Split(u.Fragment, "/")
	if parts[0] != "" {
		return fail("want # to be followed by /")
	}
	for _, part := range parts[1:] {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		if n = child(dealias(n), part); n == nil {
			return fail(from.name + " has nothing there")
		}
	}
	return n, from, nil
}

// child returns the value of a field or the item of a list, or nil.
func child(n *yaml.Node, key string) *yaml.Node {
	if n.Kind == yaml.SequenceNode {
		if i, err := strconv.Atoi(key); err == nil && 0 <= i && i < len(n.Content) {
			return n.Content[i]
		}
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if dealias(n.Content[i]).Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// dealias returns the node that an alias stands for.
func dealias(n *yaml.Node) *yaml.Node {
	for range maxChain {
		if n.Kind != yaml.AliasNode || n.Alias == nil {
			break
		}
		n = n.Alias
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
