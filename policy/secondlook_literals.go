package policy

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// spelled is a segment of a path, which is folded and read as a number at most once: it is
// long if the client likes, and the literals it is compared with may be many.
type spelled struct {
	text      string
	tidied    *spelled  // see tidy; nil: the same
	folded    *string   // nil: not yet
	numbers   []float64 // see readsAs
	numbersTo int       // where what they were read in ends; 0: not yet
}

// spell returns a segment, to be compared with literals.
func spell(text string) spelled {
	s := spelled{text: text}
	if t := tidy(text); t != text {
		s.tidied = &spelled{text: t}
	}
	return s
}

// tidy returns a name as MediaWiki and PyPI normalize it: MediaWiki trims underscores and
// leading colons from titles, and PyPI merges runs of separators in package names.
func tidy(name string) string {
	name = strings.TrimRight(strings.TrimLeft(name, "_:"), "_")
	var tidied []byte // nil: nothing repeats as yet
	for i := 1; i < len(name); i++ {
		switch repeats := isJoint(name[i]) && isJoint(name[i-1]); {
		case repeats && tidied == nil:
			tidied = []byte(name[:i])
		case !repeats && tidied != nil:
			tidied = append(tidied, name[i])
		}
	}
	if tidied == nil {
		return name
	}
	return string(tidied)
}

// isJoint reports whether c is a separator of which PyPI or MediaWiki merges several.
func isJoint(c byte) bool { return joins(c) || c == '.' || c == '+' }

// alike reports whether some server takes the segment for a literal. last says
// that it is the path's last one.
func (s *spelled) alike(literal string, last bool) bool {
	return s.alikeAsWritten(literal, last) || s.tidied != nil && s.tidied.alikeAsWritten(literal, last)
}

// alikeAsWritten is alike for servers that don't tidy names.
func (s *spelled) alikeAsWritten(literal string, last bool) bool {
	text := s.text
	literal = strings.TrimSuffix(literal, ".") // dropped there as well
	if s.readsAs(literal) || readsAsBool(text, literal) || sameUUID(text, literal) {
		return true
	}
	for i := 0; i < len(literal); i++ {
		switch {
		case literal[i] >= utf8.RuneSelf, i < len(text) && text[i] >= utf8.RuneSelf:
			return s.alikeFolded(literal, last)
		case i == len(text):
			return false
		case !alikeBytes(text[i], literal[i]):
			return shortName(text, literal) || last && hasFormats(text, literal)
		}
	}
	rest := text[len(literal):]
	if rest != "" && rest[0] >= utf8.RuneSelf {
		return s.alikeFolded(literal, last)
	}
	return drops(rest, last)
}

// loosely returns the rule by which the segment is alike to a literal.
func (s *spelled) loosely(literal string) string {
	if s.readsAs(literal) {
		return readsNumbers
	}
	return comparesLoosely
}

// alikeFolded is alike for texts that aren't ASCII.
func (s *spelled) alikeFolded(literal string, last bool) bool {
	if s.folded == nil {
		s.folded = new(foldSegment(s.text))
	}
	return begins(*s.folded, foldSegment(literal), last)
}

// begins is alike for folded texts.
func begins(text, literal string, last bool) bool {
	return beginsAlike(text, literal) && drops(text[len(literal):], last) || shortName(text, literal) || last && hasFormats(text, literal)
}

// beginsAlike reports whether a text begins with the bytes of a literal, or what some
// server takes for them.
func beginsAlike(text, literal string) bool {
	if len(text) < len(literal) {
		return false
	}
	for i := 0; i < len(literal); i++ {
		if !alikeBytes(text[i], literal[i]) {
			return false
		}
	}
	return true
}

// alikeBytes reports whether some server takes c for a byte of a literal: in another
// case, or, where that has a hyphen, an underscore or a blank, any punctuation, which
// CherryPy makes underscores of, and others hyphens (CodeIgniter, CakePHP).
func alikeBytes(c, literal byte) bool {
	if c = blank(c); lower(c) == lower(literal) {
		return true
	}
	return joins(literal) && c < utf8.RuneSelf && !isAlnum(c)
}

// joins reports whether c separates words in a literal.
func joins(c byte) bool { return c == '_' || c == '-' || c == ' ' }

// alike is spelled.alike for ASCII.
func alike(text, literal string, last bool) bool {
	return (&spelled{text: text}).alike(literal, last)
}

// drops reports whether some server drops the rest of a segment.
func drops(rest string, last bool) bool {
	if last && rest != "" && rest[0] == '.' {
		return true // a format, at the end of a path (Rails, Spring's suffix patterns)
	}
	rest = strings.TrimLeft(rest, "+ .") // blanks and dots at the end of a name (Windows)
	switch {
	case rest == "", rest[0] == ';': // a path parameter
		return true
	case rest[0] == '(': // a key (OData)
		return strings.HasSuffix(rest, ")")
	case rest[0] == ':':
		return len(rest) > 1 && (rest[1] == ':' || rest[1] == '$') // a stream of a file (Windows)
	}
	return false
}

// hasFormats reports whether a segment is a literal with an extension before which it has
// formats or languages, which some server drops wherever they are (keys.json.txt, to Jersey
// and RESTEasy with extension mappings). No digits are: versions have them (v1.2.0).
func hasFormats(text, literal string) bool {
	want, behind, dotted := strings.Cut(literal, ".")
	if !dotted {
		return false
	}
	first := true
	for part := range strings.SplitSeq(text, ".") {
		switch {
		case len(part) == len(want) && part != "" && beginsAlike(part, want):
			want, behind, _ = strings.Cut(behind, ".")
		case first || part == "" || '0' <= part[0] && part[0] <= '9':
			return false
		}
		first = false
	}
	return want == "" && behind == ""
}

// viewIn returns the name of a view in a segment: @@name or ++namespace++name (Zope, Pyramid),
// gerrit~name (Gerrit).
func viewIn(s string) (name string, ok bool) {
	if name, ok = strings.CutPrefix(s, "gerrit~"); ok {
		return name, ok
	}
	if rest, namespace := strings.CutPrefix(s, "++"); namespace {
		_, name, ok = strings.Cut(rest, "++")
		return name, ok
	}
	return strings.CutPrefix(s, "@@")
}

// blank returns c as a server reads it that decodes paths like forms, where + is a blank.
func blank(c byte) byte {
	if c == '+' {
		return ' '
	}
	return c
}

// shortName reports whether text has the form of a short name that Windows gives
// to files with longer ones: ADMINI~1 for administration.
func shortName(text, literal string) bool {
	i := strings.IndexByte(text[:min(len(text), 7)], '~')
	if i <= 0 || i >= len(literal) || !equalFold(literal[:i], text[:i]) {
		return false
	}
	number, _, _ := strings.Cut(text[i+1:], ".")
	return number != "" && allDigits(number)
}

// foldSegment reduces a segment to what is left of it in the spellings that some
// server takes for the same: without case, accents (best-fit mappings drop them)
// and joiners.
func foldSegment(s string) string {
	if isASCII(s) {
		return strings.ReplaceAll(strings.ToLower(s), "+", " ")
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Cf):
			return -1
		case r == '+':
			return ' '
		}
		return r
	}, norm.NFKD.String(s))
	return strings.ReplaceAll(strings.ToLower(strings.ToUpper(s)), "ß", "ss")
}

// resembles reports whether a segment that the partial parameter doesn't match is
// one to some server, perhaps with an empty value.
func (p *partial) resembles(text string) bool {
	before, after, alike := p.before, p.after, alike
	if !isASCII(text) || !isASCII(before) || !isASCII(after) {
		before, after, text, alike = foldSegment(before), foldSegment(after), foldSegment(text), begins
	}
	if len(text) < len(before)+len(after) || !alike(text[:len(before)], before, false) {
		return false
	}
	for i := len(before); i+len(after) <= len(text); i++ {
		if alike(text[i:], after, true) {
			return true
		}
	}
	return false
}

// nearlyMatches reports whether the partial parameter matches the segment but for
// its case and punctuation, or with an empty value.
func (p *partial) nearlyMatches(text string) bool {
	i := len(text) - len(p.after)
	return i >= len(p.before) && beginsAlike(text, p.before) && beginsAlike(text[i:], p.after)
}

// marks is a filter over the literals that follow a node: it says quickly that a segment
// resembles none of them.
type marks struct {
	lengths uint64    // bit n: one of n bytes; 63 stands for all that are longer
	first   [4]uint64 // bit c: one that begins with c, in lower case
	numbers bool      // one that begins with a number
}

func (k *marks) add(literal string) {
	literal = strings.TrimSuffix(literal, ".")
	if !isASCII(literal) { // may be spelled in any length, and without accents
		k.lengths, k.first = ^uint64(0), [4]uint64{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
		return
	}
	c := lower(literal[0])
	if isNumber(literal[:signedDigits(literal)]) { // may have leading zeros, and anything after it
		k.lengths, k.numbers = ^uint64(0), true
		k.first['0'>>6] |= 1 << ('0' & 63)
	}
	for _, word := range booleans[literal] {
		k.lengths |= 1 << len(word)
		k.first[word[0]>>6] |= 1 << (word[0] & 63)
	}
	if _, ok := uuidDigits(literal); ok {
		k.lengths |= ^uint64(1<<32 - 1)
		for _, c := range []byte("0123456789abcdefu{") {
			k.first[c>>6] |= 1 << (c & 63)
		}
	}
	if joins(c) { // may begin with any punctuation
		for other := range byte(utf8.RuneSelf) {
			if !isAlnum(other) {
				k.first[other>>6] |= 1 << (other & 63)
			}
		}
	}
	k.lengths |= 1 << min(len(literal), 63)
	k.first[c>>6] |= 1 << (c & 63)
}

// resembles reports whether a segment may be a literal in another case, or with other
// punctuation. All other resemblances are noted in pathText.marked.
func (k *marks) resembles(text string) bool {
	c := lower(text[0])
	if k.numbers && (c == '-' || c == '(' || len(text) >= longNumber) {
		return true
	}
	if c == '_' || text[len(text)-1] == '_' { // see tidy
		return k.lengths != 0
	}
	return k.lengths>>min(len(text), 63)&1 != 0 && k.first[c>>6]>>(c&63)&1 != 0
}
