package policy

import "strings"

// otherCharset reports whether a Content-Type names a charset by which some servers
// read the query otherwise than as UTF-8 (Django, Tomcat with useBodyEncodingForURI):
// in utf-7 or iso-2022-jp, what looks like one key is another. What agrees with UTF-8
// on ASCII is as good where the query has nothing else.
func otherCharset(contentType []string, query string) bool {
	for _, rest := range contentType {
		for {
			i := indexFold(rest, "charset")
			if i < 0 {
				break
			}
			rest = rest[i+len("charset"):]
			value, ok := strings.CutPrefix(strings.TrimLeft(rest, " \t"), "=")
			if !ok {
				return true // charset*= (RFC 8187), or nothing that a parser could agree about
			}
			value = strings.TrimLeft(value, " \t\"'")
			if i := strings.IndexAny(value, " \t\"',;"); i >= 0 {
				value = value[:i]
			}
			switch strings.ToLower(value) {
			case "", "utf-8", "utf8", "us-ascii", "ascii":
			default:
				if !extendsASCII(value) || !plainASCII(query) {
					return true
				}
			}
		}
	}
	return false
}

// extendsASCII reports whether a charset has ASCII for ASCII, and for nothing else.
func extendsASCII(charset string) bool {
	charset = strings.ToLower(charset)
	for _, family := range [...]string{"iso-8859-", "iso8859-", "latin", "windows-125", "cp125", "koi8-", "euc-"} {
		if strings.HasPrefix(charset, family) {
			return true
		}
	}
	switch charset {
	case "gb2312", "gbk", "gb18030", "big5":
		return true
	}
	return false
}

// plainASCII reports whether a query is ASCII once it is decoded.
func plainASCII(query string) bool {
	for i := 0; i < len(query); i++ {
		if query[i] >= 0x80 || query[i] == '%' && i+1 < len(query) && query[i+1] >= '8' {
			return false
		}
	}
	return true
}

// indexFold is strings.Index for an ASCII text in lower case, in whatever case it
// stands.
func indexFold(s, text string) int {
	for i := 0; i+len(text) <= len(s); i++ {
		if equalFold(s[i:i+len(text)], text) {
			return i
		}
	}
	return -1
}
