package policy

import "strings"

// otherCharset reports whether a Content-Type names a charset by which some servers
// read the query otherwise than as UTF-8 (Django, Tomcat with useBodyEncodingForURI):
// in utf-7 or iso-2022-jp, what looks like one key is another. What agrees with UTF-8
// on ASCII is as good where the query has nothing else.
func otherCharset(contentType []string, query string) bool {
	for i, value := range contentType {
		if i == 1 || len(value) > maxContentType {
			return true // nobody can tell which one counts, or to where it is read
		}
		for piece := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ';' || r == ',' }) {
			piece = strings.TrimLeftFunc(piece, func(r rune) bool { return r >= 0x80 || !isAlnum(byte(r)) })
			if len(piece) < len("charset") || !equalFold(piece[:len("charset")], "charset") {
				continue
			}
			name, ok := strings.CutPrefix(strings.TrimLeft(piece[len("charset"):], " \t"), "=")
			if !ok || !agreesOnASCII(strings.Trim(name, " \t\"'"), query) {
				return true // charset*= (RFC 8187) as well
			}
		}
	}
	return false
}

// maxContentType bounds what is looked through. Boundaries are at most 70 bytes long.
const maxContentType = 512

// agreesOnASCII reports whether a charset reads the query as UTF-8 does.
func agreesOnASCII(charset, query string) bool {
	charset = strings.ReplaceAll(strings.ToLower(charset), "_", "-")
	switch charset {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "ansi-x3.4-1968", "unicode-1-1-utf-8":
		return true
	case "gb2312", "gbk", "gb18030", "big5", "ks-c-5601-1987", "tis-620", "macintosh",
		"ibm437", "ibm850", "ibm852", "ibm855", "ibm866", "cp437", "cp850", "cp852", "cp855", "cp866", "cp874":
		return plainASCII(query)
	case "shift-jis", "sjis", "x-sjis", "windows-31j", "cp932", "ms932": // which have others for two of them
		return plainASCII(query) && !strings.ContainsAny(decodeEscapes(query), `\~`)
	}
	for _, family := range [...]string{"iso-8859-", "iso8859-", "latin", "windows-125", "windows-874", "cp125", "koi8-", "euc-", "euckr", "eucjp"} {
		if strings.HasPrefix(charset, family) {
			return plainASCII(query)
		}
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
