package caddymodule

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/patgate/patgate/policy"
)

// jsonMark is where, in docs/json.md, begins what is made of the source.
const jsonMark = "<!-- What follows is made of the comments in the source: go test -tags nobadger,nomysql,nopgx ./caddymodule -run TestJSONDocs -update -->\n"

// What docs/json.md says of modules is made of their structs, and of the comments on these
// and on their fields.
func TestJSONDocs(t *testing.T) {
	file, was := filepath.Join(docs, "json.md"), readDocs(t, "json.md")
	written, _, ok := strings.Cut(was, jsonMark)
	if !ok {
		t.Fatalf("docs/json.md has no %s", jsonMark)
	}
	d := jsonDocs{t: t, titles: map[reflect.Type]string{}, comments: map[string]string{}}
	for _, id := range caddy.Modules() {
		if strings.Contains(id, "patgate") {
			d.module(id)
		}
	}
	page := written + jsonMark + d.page.String()
	if *update {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got := strings.Split(was, "\n")
	for i, line := range strings.Split(page, "\n") {
		if i >= len(got) || got[i] != line {
			t.Fatalf("docs/json.md is not what the source says, from line %d on, which is to be\n%s\nmake it anew: go test -tags nobadger,nomysql,nopgx ./caddymodule -run TestJSONDocs -update", i+1, line)
		}
	}
}

// jsonPlaces says where modules go, by what their ids begin with.
var jsonPlaces = []struct{ namespace, place string }{
	{"http.handlers.", "Where: in the `handle` of a route, with `\"handler\": \"%s\"`."},
	{"http.reverse_proxy.transport.", "Where: in the `transport` of a `reverse_proxy` handler, with `\"protocol\": \"%s\"`."},
	{"caddy.logging.encoders.", "Where: in the `encoder` of a log (`logging.logs.<name>.encoder`), with `\"format\": \"%s\"`."},
	{"admin.api.", "It is always there, and has no configuration."},
	{"", "Where: `apps.%s`."},
}

// jsonDocs writes the part of the page that is made of the source.
type jsonDocs struct {
	t        *testing.T
	page     strings.Builder
	titles   map[reflect.Type]string // of the sections that structs have
	comments map[string]string       // by package, struct and field, or "" for the struct
	waiting  []func()                // sections to be written
}

// module writes the sections of a module and of the structs in it.
func (d *jsonDocs) module(id string) {
	info, err := caddy.GetModule(id)
	if err != nil {
		d.t.Fatal(err)
	}
	of := reflect.TypeOf(info.New()).Elem()
	fmt.Fprintf(&d.page, "\n## `%s`\n\n%s\n\n", id, d.intro(of, "`"+id+"`"))
	for _, p := range jsonPlaces {
		if name, ok := strings.CutPrefix(id, p.namespace); ok {
			d.page.WriteString(strings.ReplaceAll(p.place, "%s", name) + "\n")
			break
		}
	}
	d.table(of, "")
	for len(d.waiting) > 0 {
		write := d.waiting[0]
		d.waiting = d.waiting[1:]
		write()
	}
}

// table writes the fields of a struct, which is found at a path in the module.
func (d *jsonDocs) table(of reflect.Type, path string) {
	var rows strings.Builder
	d.rows(&rows, of, path)
	if rows.Len() > 0 {
		fmt.Fprintf(&d.page, "\n| field | type | default | meaning |\n|---|---|---|---|\n%s", rows.String())
	}
}

func (d *jsonDocs) rows(rows *strings.Builder, of reflect.Type, path string) {
	for f := range of.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported() || name == "-":
		case f.Type == reflect.TypeFor[policy.Settings]():
			d.link(f.Type, "settings")
			rows.WriteString("| *all [settings](#settings)* | | | |\n")
		case f.Anonymous && ours(f.Type):
			d.rows(rows, f.Type, path)
		case f.Anonymous:
			rows.WriteString("| *all of [Caddy's `http`](https://caddyserver.com/docs/modules/http.reverse_proxy.transport.http)* | | | |\n")
		default:
			what, preset := d.field(of, f, options == "")
			fmt.Fprintf(rows, "| `%s` | %s | %s | %s |\n", name, d.kind(f.Type, path+name), preset, what)
		}
	}
}

var presetWords = regexp.MustCompile(`(?s)^(.*\.) Default: (.*)\.$`)

// field returns what the comment on a field says: its meaning and its default.
func (d *jsonDocs) field(of reflect.Type, f reflect.StructField, required bool) (what, preset string) {
	what = d.comment(of, f.Name)
	if m := presetWords.FindStringSubmatch(what); m != nil {
		what, preset = m[1], m[2]
	}
	switch {
	case !strings.HasSuffix(what, "."):
		d.t.Errorf("%s.%s: the comment, which docs/json.md shows, is no sentence: %q", of, f.Name, what)
	case required && preset != "":
		d.t.Errorf("%s.%s: is required, and has a default", of, f.Name)
	case required:
		preset = "required"
	case preset != "":
	case f.Type.Kind() == reflect.Bool:
		preset = "`false`"
	case f.Type.Kind() == reflect.Slice:
		preset = "none"
	case f.Type.Kind() != reflect.Struct && f.Type.Kind() != reflect.Pointer:
		d.t.Errorf("%s.%s: the comment, which docs/json.md shows, doesn't end in the default", of, f.Name)
	}
	return what, preset
}

// kind says what JSON a field takes. A struct gets a section, unless it has one.
func (d *jsonDocs) kind(of reflect.Type, path string) string {
	switch of.Kind() {
	case reflect.Pointer:
		return d.kind(of.Elem(), path)
	case reflect.Struct:
		return "object: " + d.link(of, path)
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int:
		return "number"
	case reflect.Int64:
		if of == reflect.TypeFor[Duration]() {
			return "[duration](#durations)"
		}
	case reflect.Slice:
		switch {
		case of.Elem().Kind() == reflect.Uint8: // a module, not decoded
			return "object"
		case of.Elem().Kind() == reflect.Struct:
			return "list of objects: " + d.link(of.Elem(), path, "Each entry of ")
		}
		return "list of " + d.kind(of.Elem(), path) + "s"
	}
	d.t.Fatalf("what is a %s in JSON?", of)
	return ""
}

// link returns a link to the section of a struct. The section is written later, with a path
// for its title.
func (d *jsonDocs) link(of reflect.Type, path string, before ...string) string {
	if d.titles[of] == "" {
		d.titles[of] = path
		d.waiting = append(d.waiting, func() {
			title := "`" + path + "`"
			fmt.Fprintf(&d.page, "\n### %s\n\n%s\n", title, d.intro(of, strings.Join(before, "")+title))
			if path += "."; of == reflect.TypeFor[policy.Settings]() {
				path = "" // in JSON they are no object
			}
			d.table(of, path)
		})
	}
	title := d.titles[of]
	return fmt.Sprintf("[`%s`](#%s)", title, strings.ReplaceAll(title, ".", ""))
}

// intro returns the first paragraph on a struct, which begins with its name, with
// another name in its place.
func (d *jsonDocs) intro(of reflect.Type, name string) string {
	text, ok := strings.CutPrefix(d.comment(of, ""), of.Name()+" ")
	if !ok || !strings.HasSuffix(text, ".") {
		d.t.Errorf("%s: the comment, which docs/json.md shows, is no sentence about it: %q", of, text)
	}
	return name + " " + text
}

func ours(of reflect.Type) bool {
	return strings.HasPrefix(of.PkgPath(), "github.com/patgate/patgate/")
}

var inQuotes = regexp.MustCompile(`"([^"]+)"`)

// comment returns the first paragraph of the comment on a struct or a field, as Markdown:
// what is quoted is code.
func (d *jsonDocs) comment(of reflect.Type, field string) string {
	dir := ".." + strings.TrimPrefix(of.PkgPath(), "github.com/patgate/patgate")
	if _, read := d.comments[dir]; !read {
		d.comments[dir] = "read"
		d.read(dir)
	}
	text, _, _ := strings.Cut(d.comments[dir+" "+of.Name()+" "+field], "\n\n")
	text = strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
	return inQuotes.ReplaceAllString(text, "`$1`")
}

// read reads the comments in a package.
func (d *jsonDocs) read(dir string) {
	files, err := filepath.Glob(dir + "/*.go")
	if err != nil {
		d.t.Fatal(err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			d.t.Fatal(err)
		}
		for _, declared := range file.Decls {
			g, ok := declared.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, s := range g.Specs {
				d.readStruct(dir, g, s.(*ast.TypeSpec))
			}
		}
	}
}

func (d *jsonDocs) readStruct(dir string, g *ast.GenDecl, s *ast.TypeSpec) {
	of, ok := s.Type.(*ast.StructType)
	if !ok {
		return
	}
	d.comments[dir+" "+s.Name.Name+" "] = g.Doc.Text()
	for _, f := range of.Fields.List {
		for _, name := range f.Names {
			d.comments[dir+" "+s.Name.Name+" "+name.Name] = f.Doc.Text()
		}
	}
}
