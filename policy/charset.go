package policy

import "strings"

// charset says how far what a Content-Type names agrees with UTF-8. Some servers read
// the query by it (Django, Tomcat with useBodyEncodingForURI), Django all of it before
// it is taken apart: in utf-7 or iso-2022-jp, what looks like one key is another.
// So names have to be what they are in UTF-8, on every route; and values where
// something depends on them.
type charset uint8

const (
	likeUTF8     charset = iota
	likeASCII            // agrees on ASCII, and separates where it does
	likeShiftJIS         // the same, but for two characters
	likeNothing          // may be anything
)

// charsetOf returns the charset of a Content-Type, the oddest where it has several. Tomcat
// finds charset= anywhere, even inside another parameter.
func charsetOf(contentType []string) (c charset) {
	for i, value := range contentType {
		if i == 1 || len(value) > maxContentType {
			return likeNothing // nobody can tell which one counts, or to where it is read
		}
		first := true // no letter or digit of this parameter was seen yet
		for j := range len(value) {
			switch {
			case value[j] == ';' || value[j] == ',':
				first = true
				continue
			case !isAlnum(value[j]):
				continue
			}
			if rest, ok := cutWord(value[j:], "charset"); ok {
				switch rest = strings.TrimLeftFunc(rest, isBlankToASPNET); {
				case strings.HasPrefix(rest, "="):
					name, _, _ := strings.Cut(rest[1:], ";")
					name, _, _ = strings.Cut(name, ",")
					c = max(c, charsetNamed(strings.Trim(name, " \t\"'")))
				case strings.HasPrefix(rest, "*"), first && (rest == "" || !isAlnum(rest[0])):
					return likeNothing // charset*= (RFC 8187)
				}
			}
			first = false
		}
	}
	return c
}

// isBlankToASPNET reports whether ASP.NET skips r between charset and the equals sign, as it
// does U+0085 and U+00A0.
func isBlankToASPNET(r rune) bool { return r == ' ' || r == '\t' || r >= 0x80 }

// cutWord is strings.CutPrefix, ignoring case, for a word in lower case.
func cutWord(text, word string) (rest string, ok bool) {
	if len(text) < len(word) || lower(text[0]) != word[0] || !equalFold(text[:len(word)], word) {
		return "", false
	}
	return text[len(word):], true
}

// maxContentType bounds what is looked through. Boundaries are at most 70 bytes long.
const maxContentType = 512

func charsetNamed(name string) charset {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	switch name {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "ansi-x3.4-1968", "unicode-1-1-utf-8":
		return likeUTF8
	case "binary", "none", "undefined", "utf8mb4", // which clients send by mistake, and no server knows for another one
		"gb2312", "gbk", "gb18030", "big5", "ks-c-5601-1987", "tis-620", "macintosh",
		"ibm437", "ibm850", "ibm852", "ibm855", "ibm866", "cp437", "cp850", "cp852", "cp855", "cp866", "cp874":
		return likeASCII
	case "shift-jis", "sjis", "x-sjis", "windows-31j", "cp932", "ms932":
		return likeShiftJIS
	}
	for _, family := range [...]string{"iso-8859-", "iso8859-", "latin", "windows-125", "windows-874", "cp125", "koi8-", "euc-", "euckr", "eucjp"} {
		if strings.HasPrefix(name, family) {
			return likeASCII
		}
	}
	return likeNothing
}

// keeps reports whether an encoded name or value of the query is the same text in the
// charset as in UTF-8.
func (c charset) keeps(text string) bool {
	switch c {
	case likeUTF8:
		return true
	case likeASCII:
		return plainASCII(text)
	case likeShiftJIS: // it has others for these
		return plainASCII(text) && !strings.ContainsAny(decodeEscapes(text), `\~`)
	}
	return false
}

// keepsNames reports whether the names in a query are the same as in UTF-8. In a charset
// that differs even in ASCII (IBM290), none are.
func (c charset) keepsNames(query string) bool {
	if c == likeUTF8 {
		return true
	}
	for name := range parameters(query) {
		if !c.keeps(name) {
			return false
		}
	}
	return true
}

// keepsValues reports whether the values of a key are the same as in UTF-8.
func (c charset) keepsValues(query, key string) bool {
	if c == likeUTF8 {
		return true
	}
	for name, value := range parameters(query) {
		if unescapeQuery(name) == key && !c.keeps(value) {
			return false
		}
	}
	return true
}

// plainASCII reports whether a text is ASCII once it is decoded.
func plainASCII(text string) bool {
	for i := 0; i < len(text); i++ {
		if text[i] >= 0x80 || text[i] == '%' && i+1 < len(text) && text[i+1] >= '8' {
			return false
		}
	}
	return true
}
