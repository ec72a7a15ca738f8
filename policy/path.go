package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds on the path of a request. A longer or deeper one is refused.
const (
	maxPathLength = 8192 // bytes, encoded
	maxSegments   = 64
)

// pathText is a path split into segments, each decoded once.
type pathText struct {
	raw    string // the encoded path
	text   string // the path with its segments decoded
	bounds [maxSegments + 1]uint16
	n      int // segments

	// marked says that there is something in the path that some server reads differently:
	// a character that it cuts at or takes for another one, or a name with a meaning.
	// oddlyEscaped says that characters are encoded that needn't be, or the reverse.
	marked, oddlyEscaped bool

	// lenient lets names pass that end in a dot ("Acme Inc."). dotted says that there are
	// some: they must be where a route has names (dotsFit).
	lenient, dotted bool
}

// slashes says what becomes of encoded slashes.
type slashes uint8

const (
	slashesRefused slashes = iota
	slashesAllowed         // some servers split there: they are looked at both ways
	slashesData            // none does: data, no delimiters (RFC 3986 section 2.2)
)

// slashWords are what encoded_slash says, in the order of the above.
var slashWords = []string{"reject", "allow", "data"}

// dataSlash replaces a slash that is data, so that no reading is split at it. It is a control
// character: those are refused in paths.
const dataSlash = '\x01'

// hideSlashes puts dataSlash in place of the slashes in a text.
func hideSlashes(s string) string { return strings.ReplaceAll(s, "/", string(dataSlash)) }

// withSlashes returns a part of a path's text with the slashes that are data.
func withSlashes(s string) string { return strings.ReplaceAll(s, string(dataSlash), "/") }

// segment returns the i-th segment. In it, as in all parts of the text, slashes that are data
// are dataSlash.
func (p *pathText) segment(i int) string { return p.text[p.bounds[i]+1 : p.bounds[i+1]] }

// from returns the segments from the i-th on, joined by slashes, or "" if there are none: a
// second look compares the tail of a pattern with the path above it, too.
func (p *pathText) from(i int) string {
	if i >= p.n {
		return ""
	}
	return p.text[p.bounds[i]+1 : p.bounds[p.n]]
}

// at returns the segment that a path parameter is in, or all from there on.
func (p *pathText) at(s *source) string {
	if s.tail {
		return p.from(s.segment)
	}
	return p.segment(s.segment)
}

// rawAt is at for the encoded path.
func (p *pathText) rawAt(s *source) string {
	segment, rest := "", p.raw[1:]
	for i := 0; ; i++ {
		if i == s.segment && s.tail {
			return rest
		}
		segment, rest, _ = strings.Cut(rest, "/")
		if i == s.segment {
			return segment
		}
	}
}

// whole returns the path, decoded, without a slash at its end.
func (p *pathText) whole() string { return p.text[:p.bounds[p.n]] }

// segments returns the segments of the path.
func (p *pathText) segments() (all []string) {
	for i := range p.n {
		all = append(all, p.segment(i))
	}
	return all
}

// join takes segments for a path. It reports whether that is within bounds.
func (p *pathText) join(segments []string) bool {
	var text strings.Builder
	for _, s := range segments {
		text.WriteByte('/')
		text.WriteString(s)
		if text.Len() > maxPathLength || p.add(text.Len()) != "" {
			return false
		}
	}
	p.text = text.String()
	return true
}

// Classes of bytes in an escaped path.
const (
	refused = iota
	plain
	joint   // plain, but for several in a row
	marked  // plain, but some server makes something of it
	bracket // encoded by RFC 3986, left as it is by browsers and Go
	slash
	percent
	semicolon
)

// pathBytes classes the bytes of an escaped path. Those allowed in it are
// the unreserved characters and the sub-delimiters of RFC 3986, but for the
// semicolon, and brackets.
var pathBytes = func() (class [256]uint8) {
	for c := range class {
		switch {
		case isAlnum(byte(c)) || strings.IndexByte("$')*", byte(c)) >= 0:
			class[c] = plain
		case strings.IndexByte(".~(+:&,@!=", byte(c)) >= 0:
			class[c] = marked
		}
	}
	class['-'], class['_'] = joint, joint
	class['['], class[']'] = bracket, bracket
	class['/'], class['%'], class[';'] = slash, percent, semicolon
	return class
}()

// parse splits an escaped path into segments and decodes each of them once. It
// returns why the path is refused, or "". What it accepts, all servers read
// alike; what is forwarded is the escaped path itself, byte for byte.
func (p *pathText) parse(escaped string, encoded slashes, allowSemicolon bool) string {
	if len(escaped) == 0 || escaped[0] != '/' {
		return "the path doesn't begin with /"
	}
	if len(escaped) > maxPathLength {
		return "the path is too long"
	}
	p.raw, p.text = escaped, escaped
	if len(escaped) == 1 {
		return "" // the root
	}
	end := len(strings.TrimSuffix(escaped, "/")) // one trailing slash makes no difference
	start := 1
	for i := 1; i < end; i++ {
		switch pathBytes[escaped[i]] {
		case plain:
		case joint:
			p.marked = p.marked || pathBytes[escaped[i-1]] == joint
		case marked:
			p.marked = true
		case bracket:
			p.marked, p.oddlyEscaped = true, true
		case slash:
			if why := p.end(escaped[start:i], i); why != "" {
				return why
			}
			start = i + 1
		case percent, semicolon:
			p.n = 0
			return p.decode(escaped[1:end], encoded, allowSemicolon)
		default:
			return belongsEncoded("path", escaped[i])
		}
	}
	last := escaped[start:end]
	p.marked = p.marked || isDefaultAction(last)
	return p.end(last, end)
}

// end notes that a segment, of plain characters, ends at this index.
func (p *pathText) end(s string, at int) (why string) {
	if why = judgePlain(s); why != "" && p.bare(s) == s {
		return why
	}
	p.marked = p.marked || isVirtualHost(s) || isWordPress(s)
	return p.add(at)
}

// Reasons that a setting of the gate lifts (optionFor).
const (
	encodedSlash     = "the path has an encoded slash"
	encodedDelimiter = "the path has an encoded ? or #"
	encodedPercent   = "the path has an encoded %"
	pathSemicolon    = "the path has a semicolon, which some servers cut at"
	querySemicolon   = "the query has a semicolon, which some servers split at"
)

// belongsEncoded says that a character of the path or the query should be encoded, and which.
func belongsEncoded(where string, c byte) string {
	why := "the " + where + " has a character that belongs percent-encoded: "
	switch {
	case c >= utf8.RuneSelf:
		return why + "one that isn't ASCII"
	case c == ' ':
		return why + "a blank"
	case c < '!' || c > '~':
		return why + "a control"
	}
	return why + string(rune(c))
}

// add notes that a segment ends at this index.
func (p *pathText) add(end int) string {
	if p.n == maxSegments {
		return "the path has too many segments"
	}
	p.n++
	p.bounds[p.n] = uint16(end)
	return ""
}

// decode takes a path with escapes or semicolons apart.
func (p *pathText) decode(rest string, encoded slashes, allowSemicolon bool) string {
	p.marked = true
	text := make([]byte, 0, len(rest)+1)
	for more := true; more; {
		var raw string
		raw, rest, more = strings.Cut(rest, "/")
		text = append(text, '/')
		for i := 0; i < len(raw); i++ {
			c := raw[i]
			switch pathBytes[c] {
			case refused:
				return belongsEncoded("path", c)
			case bracket:
				p.oddlyEscaped = true
			case percent:
				var whole bool
				if c, whole = escaped(raw[i:]); !whole {
					return "the path has a broken percent-encoding"
				}
				i += 2
				p.oddlyEscaped = p.oddlyEscaped || plain <= pathBytes[c] && pathBytes[c] <= marked
			}
			text = append(text, c)
		}
		if why := p.add(len(text)); why != "" {
			return why
		}
	}
	p.text = string(text)
	if encoded == slashesAllowed && strings.Count(p.text, "/") > maxSegments { // once it is split there
		return "the path has too many segments"
	}
	for i := range p.n {
		if why := judgeSegment(p.bare(p.segment(i)), encoded, allowSemicolon); why != "" {
			return why
		}
	}
	if strings.HasPrefix(p.text, "//") { // an authority to some
		return hiddenEmpty
	}
	if encoded == slashesData {
		p.hideSlashes()
	}
	return ""
}

// hideSlashes puts dataSlash in place of all slashes but those that the path was split
// at.
func (p *pathText) hideSlashes() {
	text := []byte(hideSlashes(p.text))
	for i := range p.n {
		text[p.bounds[i]] = '/'
	}
	p.text = string(text)
}

// bare returns a segment without the dot that it may end in.
func (p *pathText) bare(s string) string {
	if !p.lenient {
		return s
	}
	name := withoutDot(s)
	p.dotted = p.dotted || name != s
	return name
}

// withoutDot returns a segment without the one dot that a name may end in, after a letter or
// a number.
func withoutDot(s string) string {
	name, dotted := strings.CutSuffix(s, ".")
	if last, _ := utf8.DecodeLastRuneInString(name); dotted && (unicode.IsLetter(last) || unicode.IsNumber(last)) {
		return name
	}
	return s
}

// dotsFit reports whether all segments that end in a dot are segments of the route's own
// pattern: a parameter, or a literal that ends so. That Windows drops the dots is one of the
// readings.
func (p *pathText) dotsFit(r *Route) bool {
	for i := range p.n {
		if s := p.segment(i); s[len(s)-1] == '.' && (r == nil || i >= len(r.pattern.segments)) {
			return false
		}
	}
	return true
}
