package openapi

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/patgate/patgate/token"
)

// Document is what a gate needs to know of an OpenAPI document.
type Document struct {
	file       string
	title      string
	version    string         // of the API
	schemes    []scheme       // declared or asked for
	named      map[string]int // where they are
	operations []operation
}

// operation is one operation of a document.
type operation struct {
	id      string // the operationId, or ""
	method  string
	path    string // as the document has it, without the base
	summary string
	tags    []string
	at      string // where it is: file:line
	base    basePath
	// security is what the operation asks for. said is false if neither the operation nor
	// the document says anything about it.
	security []alternative
	said     bool
}

// alternative is security schemes that are needed together. An empty one means that none is.
type alternative []schemeScopes

// schemeScopes is a security scheme with the scopes asked for under it.
type schemeScopes struct {
	scheme string
	scopes []string
}

// name returns what the operation is called: its operationId, or its method and path, if it
// has none or one that might be a secret, which errors mustn't repeat.
func (o *operation) name() string {
	if o.id != "" && token.Masked(o.id) == o.id {
		return o.id
	}
	return o.method + " " + o.path
}

// named reports whether a line of the configuration means the operation, by
// operationId or by method and path.
func (o *operation) named(name string) bool {
	method, path, _ := strings.Cut(name, " ")
	return name != "" && name == o.id || method == o.method && path == o.path
}

// Read reads an OpenAPI document, version 3.0 or later, as YAML or JSON. Files
// beside it that it refers to are read too; nothing is ever fetched. Errors name
// file, line and JSON pointer.
func Read(file string) (*Document, error) {
	d, err := readDocument(file)
	if err != nil {
		return nil, fmt.Errorf("reading an OpenAPI document: %w", err)
	}
	return d, nil
}

func readDocument(file string) (*Document, error) {
	c := &cutter{files: map[string]*source{}}
	main, err := c.open(file)
	if err != nil {
		return nil, err
	}
	if err := main.checkVersion(); err != nil {
		return nil, err
	}
	root, err := c.cut(main.root, main, documentShape)
	if err != nil {
		return nil, err
	}
	d := newDocument(file, root)
	if len(d.operations) == 0 {
		return nil, fmt.Errorf("%s: it has no operations", file)
	}
	return d, nil
}

// checkVersion refuses what is no OpenAPI document of version 3.
func (s *source) checkVersion() error {
	version := func(key string) (*yaml.Node, bool) {
		n, err := s.child(s.root, key)
		return n, err == nil && n.Kind == yaml.ScalarNode && !isNull(n)
	}
	n, ok := version("openapi")
	if ok && (n.Value == "3" || strings.HasPrefix(n.Value, "3.")) {
		return nil
	}
	if ok {
		return fmt.Errorf("%s: openapi %q: want version 3.0 or later, 3.x", s.place(n), n.Value)
	}
	if n, ok = version("swagger"); ok {
		return fmt.Errorf("%s: swagger %q: want version 3.0 or later: convert it to OpenAPI 3 first", s.place(n), n.Value)
	}
	return fmt.Errorf("%s: want an OpenAPI document, which has openapi: 3.x", s.name)
}

// newDocument returns what a document says.
func newDocument(file string, root *tree) *Document {
	info := root.get("info")
	d := &Document{file: file, title: info.get("title").value(), version: info.get("version").value(), named: map[string]int{}}
	add := func(s scheme) {
		if _, there := d.named[s.name]; !there {
			d.named[s.name] = len(d.schemes)
			d.schemes = append(d.schemes, s)
		}
	}
	for _, s := range root.get("components").get("securitySchemes").all() {
		add(declared(s))
	}
	base := basePathOf(root.get("servers"))
	for _, item := range root.get("paths").all() {
		base := base.within(item)
		for _, o := range operations(item) {
			security := o.get("security")
			if security == nil {
				security = root.get("security")
			}
			base := base.within(o.tree)
			op := operation{
				id: o.get("operationId").value(), method: o.method, path: item.key, summary: o.get("summary").value(), at: o.at(),
				base: base, security: alternatives(security), said: security != nil,
			}
			for _, tag := range o.get("tags").all() {
				op.tags = append(op.tags, tag.text)
			}
			d.operations = append(d.operations, op)
		}
	}
	for _, o := range d.operations {
		for _, needed := range o.security {
			for _, s := range needed {
				add(scheme{name: s.scheme})
			}
		}
	}
	return d
}

// methodTree is an operation with its method.
type methodTree struct {
	method string
	*tree
}

// operations returns the operations of a path.
func operations(item *tree) (all []methodTree) {
	for _, name := range []string{"get", "head", "post", "put", "patch", "delete", "options", "trace", "query"} {
		if o := item.get(name); o != nil {
			all = append(all, methodTree{strings.ToUpper(name), o})
		}
	}
	for _, o := range item.get("additionalOperations").all() {
		all = append(all, methodTree{o.key, o})
	}
	return all
}

// alternatives returns the security requirements of an operation, or of the document.
func alternatives(security *tree) (all []alternative) {
	for _, requirement := range security.all() {
		var needed alternative
		for _, scheme := range requirement.all() {
			s := schemeScopes{scheme: scheme.key}
			for _, scope := range scheme.all() {
				s.scopes = append(s.scopes, scope.text)
			}
			needed = append(needed, s)
		}
		all = append(all, needed)
	}
	return all
}
