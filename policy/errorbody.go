package policy

import (
	"encoding/json"
	"fmt"
	"html"
	"mime"
	"regexp"
	"strconv"
	"strings"
)

// ErrorBody is the body of a rejection in the shape of the API behind the gate,
// for clients that know its errors.
type ErrorBody struct {
	// The media type of the template, such as "application/json".
	ContentType string `json:"content_type"`
	// The body. "{status}", "{title}", "{reason}", "{detail}", "{type}",
	// "{required_scope}" and "{space}" in it are replaced, escaped as the media type requires.
	Template string `json:"template"`
}

// Problem is what can be said of a rejection; the members of RFC 9457 and ours.
type Problem struct {
	Type          string `json:"type"`
	Title         string `json:"title"`
	Status        int    `json:"status"`
	Detail        string `json:"detail,omitempty"`
	Reason        string `json:"reason,omitempty"`
	RequiredScope string `json:"required_scope,omitempty"`
	Space         string `json:"space,omitempty"`
}

// ErrorBodies are the bodies that can be asked for by name. The first is the default.
var ErrorBodies = []struct {
	Name string
	Body *ErrorBody // nil: problem+json
}{
	{"problem", nil},
	{"error", &ErrorBody{"application/json", `{"error":"{detail}"}`}},
	{"message", &ErrorBody{"application/json", `{"message":"{detail}"}`}},
	{"message_code", &ErrorBody{"application/json", `{"message":"{detail}","code":"{reason}"}`}},
}

// Shape is a compiled ErrorBody: texts, and between them names.
type Shape struct {
	contentType string
	texts       []string // one more than names
	names       []string
	escape      func(string) string
}

// problemBody renders problem+json (RFC 9457).
var problemBody = &Shape{contentType: "application/problem+json"}

// Validate reports what is wrong with the media type or the template.
func (c *ErrorBody) Validate() error {
	_, err := compileErrorBody(c)
	return err
}

var templateName = regexp.MustCompile(`\{([a-z_]+)\}`)

func compileErrorBody(c *ErrorBody) (*Shape, error) {
	if c == nil || *c == (ErrorBody{}) {
		return problemBody, nil
	}
	kind, _, err := mime.ParseMediaType(c.ContentType)
	if err != nil || !strings.Contains(kind, "/") || strings.ContainsAny(c.ContentType, "\r\n") {
		return nil, fmt.Errorf("error_body: %q is not a media type; want one such as application/json, or problem, error, message, message_code", c.ContentType)
	}
	if err := RefusePlaceholder(c.Template); err != nil {
		return nil, fmt.Errorf("error_body: %w", err)
	}
	b := &Shape{contentType: c.ContentType, escape: escapeFor(kind)}
	done := 0
	for _, at := range templateName.FindAllStringSubmatchIndex(c.Template, -1) { // other braces are the body's own
		name := c.Template[at[2]:at[3]]
		if _, ok := (&Problem{}).member(name); !ok {
			return nil, fmt.Errorf("error_body: {%s} is unknown; want {status}, {title}, {reason}, {detail}, {type}, {required_scope} or {space}", name)
		}
		b.texts, b.names = append(b.texts, c.Template[done:at[0]]), append(b.names, name)
		done = at[1]
	}
	b.texts = append(b.texts, c.Template[done:])
	if isJSON(kind) {
		sample := b.Render(Problem{Type: "t", Title: `"`, Status: 400, Detail: `\`, Reason: "\n", RequiredScope: `"`, Space: "é"})
		if !json.Valid(sample) {
			return nil, fmt.Errorf("error_body: the template doesn't make valid JSON: %s", sample)
		}
	}
	return b, nil
}

func isJSON(kind string) bool {
	return kind == "application/json" || strings.HasSuffix(kind, "+json")
}

// escapeFor returns how a value is written in a body of a media type.
func escapeFor(kind string) func(string) string {
	switch {
	case isJSON(kind):
		return func(s string) string {
			b, _ := json.Marshal(s) // a string: never fails
			return string(b[1 : len(b)-1])
		}
	case kind == "text/html", strings.HasSuffix(kind, "xml"):
		return html.EscapeString
	}
	return func(s string) string { return s }
}

// member returns what a name in a template stands for.
func (p *Problem) member(name string) (value string, ok bool) {
	switch name {
	case "status":
		return strconv.Itoa(p.Status), true
	case "title":
		return p.Title, true
	case "reason":
		return p.Reason, true
	case "detail":
		return p.Detail, true
	case "type":
		return p.Type, true
	case "required_scope":
		return p.RequiredScope, true
	case "space":
		return p.Space, true
	}
	return "", false
}

// append appends p as encoding/json writes it, which takes several times as long:
// rejections are what an attacker can have for nothing.
func (p *Problem) append(b []byte) []byte {
	b = appendJSON(append(b, `{"type":`...), p.Type)
	b = appendJSON(append(b, `,"title":`...), p.Title)
	b = strconv.AppendInt(append(b, `,"status":`...), int64(p.Status), 10)
	for _, member := range [...]struct{ name, value string }{
		{`,"detail":`, p.Detail}, {`,"reason":`, p.Reason}, {`,"required_scope":`, p.RequiredScope}, {`,"space":`, p.Space},
	} {
		if member.value != "" {
			b = appendJSON(append(b, member.name...), member.value)
		}
	}
	return append(b, '}')
}

// appendJSON appends s as a JSON string.
func appendJSON(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < ' ', c > '~', c == '"', c == '\\', c == '<', c == '>', c == '&':
			quoted, _ := json.Marshal(s) // a string: never fails
			return append(b, quoted...)
		}
	}
	b = append(append(b, '"'), s...)
	return append(b, '"')
}

// ContentType returns the value of the Content-Type field.
func (b *Shape) ContentType() string { return b.contentType }

// Render returns the body for a rejection.
func (b *Shape) Render(p Problem) []byte {
	if b == problemBody {
		return p.append(make([]byte, 0, 320))
	}
	body := []byte(b.texts[0])
	for i, name := range b.names {
		value, _ := p.member(name)
		body = append(body, b.escape(value)...)
		body = append(body, b.texts[i+1]...)
	}
	return body
}

// Shape returns the shape of the body if the request is turned away.
func (m *Match) Shape() *Shape {
	if m.Route != nil {
		return m.Route.shape
	}
	return m.policy.site.shape
}
