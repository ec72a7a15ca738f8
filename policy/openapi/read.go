package openapi

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/pb33f/go-yaml"
	"github.com/pb33f/libopenapi/datamodel"
	"github.com/pb33f/libopenapi/datamodel/low"
	"github.com/pb33f/libopenapi/datamodel/low/base"
	v3 "github.com/pb33f/libopenapi/datamodel/low/v3"
)

// Document is what a gate needs to know of an OpenAPI document.
type Document struct {
	File       string
	Title      string
	Version    string   // of the API
	Schemes    []string // the names of the security schemes, declared or asked for
	Operations []Operation
}

// Operation is one operation of a document.
type Operation struct {
	ID      string // the operationId, or ""
	Method  string
	Path    string // as the document has it, without the base
	Summary string
	Tags    []string
	At      string // where it stands: file:line
	// Bases are the paths of the servers that have it.
	Bases []string
	// Security is what it asks for; Said is false where neither it nor the
	// document says anything of that.
	Security []Alternative
	Said     bool
}

// Alternative is security schemes that are needed together. An empty one means
// that nothing is.
type Alternative []SchemeScopes

// SchemeScopes is a security scheme with the scopes asked for under it.
type SchemeScopes struct {
	Scheme string
	Scopes []string
}

// Name returns what the operation is called: its operationId, or its method and
// path where it has none.
func (o *Operation) Name() string {
	if o.ID != "" {
		return o.ID
	}
	return o.Method + " " + o.Path
}

// Read reads an OpenAPI document, version 3.0 or later, as YAML or JSON. Files
// beside it that it refers to are read too; nothing is ever fetched. Errors name
// file, line and JSON pointer.
func Read(file string) (*Document, error) {
	c := &cutter{files: map[string]*source{}, places: map[string]string{}}
	spec, err := readFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading an OpenAPI document: %w", err)
	}
	return c.read(file, spec)
}

func (c *cutter) read(file string, spec []byte) (*Document, error) {
	info, err := datamodel.ExtractSpecInfoWithConfig(spec, datamodel.NewDocumentConfiguration())
	if err != nil {
		return nil, fmt.Errorf("reading an OpenAPI document: %s: %s", file, inOneLine(err))
	}
	if info.SpecFormat == datamodel.OAS2 || info.SpecType != "openapi" {
		return nil, fmt.Errorf("reading an OpenAPI document: %s: want version 3.0 or later", file)
	}
	main := &source{name: file, root: content(info.RootNode)}
	c.files[file] = main
	root, err := c.cut(main.root, main, document)
	if err != nil {
		return nil, fmt.Errorf("reading an OpenAPI document: %w", err)
	}
	info.RootNode = &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{root}}
	config := datamodel.NewDocumentConfiguration()
	config.Logger = slog.New(slog.DiscardHandler)
	config.SkipCircularReferenceCheck = true
	config.SkipMetadataCollection = true
	info.Self = ""
	model, err := v3.CreateDocumentFromConfig(info, config)
	if err != nil {
		return nil, fmt.Errorf("reading an OpenAPI document: %s: %s", file, inOneLine(err))
	}
	d, err := c.document(file, model)
	if err == nil && len(d.Operations) == 0 {
		err = fmt.Errorf("reading an OpenAPI document: %s: it has no operations", file)
	}
	return d, err
}

// open reads a file that the document refers to.
func (c *cutter) open(name string) (*source, error) {
	if s := c.files[name]; s != nil {
		return s, nil
	}
	body, err := readFile(name)
	if err != nil {
		return nil, err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(body, &root); err != nil {
		return nil, fmt.Errorf("%s: %s", name, inOneLine(err))
	}
	c.files[name] = &source{name: name, root: content(&root)}
	return c.files[name], nil
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

// content returns what is in a file.
func content(root *yaml.Node) *yaml.Node {
	if root.Kind == yaml.DocumentNode && len(root.Content) > 0 {
		return root.Content[0]
	}
	return root
}

// document takes what matters out of the library's model.
func (c *cutter) document(file string, model *v3.Document) (*Document, error) {
	d := &Document{File: file}
	if info := model.Info.Value; info != nil {
		d.Title, d.Version = info.Title.Value, info.Version.Value
	}
	if components := model.Components.Value; components != nil {
		for name := range components.SecuritySchemes.Value.KeysFromOldest() {
			d.Schemes = append(d.Schemes, name.Value)
		}
	}
	if model.Paths.Value == nil || model.Paths.Value.PathItems == nil {
		return d, nil
	}
	var errs []error
	for path, item := range model.Paths.Value.PathItems.FromOldest() {
		for _, m := range methods(item.Value) {
			o := Operation{
				ID: m.operation.OperationId.Value, Method: m.method, Path: path.Value, Summary: m.operation.Summary.Value,
				At: c.places[strings.Join(append([]string{"paths", path.Value}, m.keys...), " ")],
			}
			for _, tag := range m.operation.Tags.Value {
				o.Tags = append(o.Tags, tag.Value)
			}
			security := m.operation.Security
			if security.KeyNode == nil {
				security = model.Security
			}
			o.Said, o.Security = security.KeyNode != nil, alternatives(security.Value)
			from := model.Servers.Value
			for _, inner := range []low.NodeReference[[]low.ValueReference[*v3.Server]]{item.Value.Servers, m.operation.Servers} {
				if len(inner.Value) > 0 {
					from = inner.Value
				}
			}
			var err error
			if o.Bases, err = bases(from); err != nil {
				errs = append(errs, fmt.Errorf("%s: operation %s: %w", o.At, o.Name(), err))
			}
			d.Operations = append(d.Operations, o)
		}
	}
	for _, o := range d.Operations {
		for _, alternative := range o.Security {
			for _, s := range alternative {
				if !slices.Contains(d.Schemes, s.Scheme) {
					d.Schemes = append(d.Schemes, s.Scheme)
				}
			}
		}
	}
	return d, errors.Join(errs...)
}

// methodOperation is an operation with its method, and the keys that lead to it
// from its path.
type methodOperation struct {
	method    string
	keys      []string
	operation *v3.Operation
}

// methods returns the operations of a path.
func methods(item *v3.PathItem) (all []methodOperation) {
	for _, m := range []struct {
		name      string
		operation *v3.Operation
	}{
		{"get", item.Get.Value}, {"head", item.Head.Value}, {"post", item.Post.Value}, {"put", item.Put.Value},
		{"patch", item.Patch.Value}, {"delete", item.Delete.Value}, {"options", item.Options.Value},
		{"trace", item.Trace.Value}, {"query", item.Query.Value},
	} {
		if m.operation != nil {
			all = append(all, methodOperation{strings.ToUpper(m.name), []string{m.name}, m.operation})
		}
	}
	if more := item.AdditionalOperations.Value; more != nil {
		for name, operation := range more.FromOldest() {
			all = append(all, methodOperation{name.Value, []string{"additionalOperations", name.Value}, operation.Value})
		}
	}
	return all
}

func alternatives(security []low.ValueReference[*base.SecurityRequirement]) []Alternative {
	all := []Alternative{}
	for _, requirement := range security {
		alternative := Alternative{}
		for scheme, scopes := range requirement.Value.Requirements.Value.FromOldest() {
			needed := SchemeScopes{Scheme: scheme.Value}
			for _, scope := range scopes.Value {
				needed.Scopes = append(needed.Scopes, scope.Value)
			}
			alternative = append(alternative, needed)
		}
		all = append(all, alternative)
	}
	return all
}

// bases returns the paths of servers, each once.
func bases(servers []low.ValueReference[*v3.Server]) (paths []string, err error) {
	for _, s := range servers {
		path, err := basePath(s.Value)
		if err != nil {
			return nil, fmt.Errorf("server %q: %w", s.Value.URL.Value, err)
		}
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		paths = []string{"/"} // OpenAPI 3.1 section 4.8.1.1
	}
	return paths, nil
}

// basePath returns the path of a server. "" means that it depends on where the
// document is found.
func basePath(s *v3.Server) (string, error) {
	text := s.URL.Value
	// Where a URL ends its authority is seen before variables are filled in.
	_, rest, absolute := strings.Cut(text, "://")
	if !absolute {
		rest, absolute = strings.CutPrefix(text, "//")
	}
	if absolute {
		_, path, _ := strings.Cut(rest, "/")
		text = "/" + path
	}
	if variables := s.Variables.Value; variables != nil {
		for name, v := range variables.FromOldest() {
			placeholder := "{" + name.Value + "}"
			if !strings.Contains(text, placeholder) {
				continue
			}
			if len(v.Value.Enum) > 1 {
				return "", nil // one path for each
			}
			text = strings.ReplaceAll(text, placeholder, v.Value.Default.Value)
		}
	}
	text, _, _ = strings.Cut(text, "?")
	text, _, _ = strings.Cut(text, "#")
	if !strings.HasPrefix(text, "/") {
		return "", nil
	}
	if _, err := url.PathUnescape(text); err != nil || strings.ContainsAny(text, "{}") {
		return "", errors.New("want a path whose variables have defaults")
	}
	if trimmed := strings.TrimRight(text, "/"); trimmed != "" {
		return trimmed, nil
	}
	return "/", nil
}

// inOneLine returns the text of an error of the library, which may have several.
func inOneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}
