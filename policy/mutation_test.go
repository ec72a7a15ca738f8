package policy

import (
	"testing"

	"github.com/patgate/patgate/internal/mutation"
)

// Every piece that keeps a request from being read in two ways is missed when it
// is gone.
func TestMutants(t *testing.T) {
	t.Parallel()
	const (
		paths   = "^TestPathsThatAreRefused$"
		allowed = "^TestEncodedSlashAndSemicolonAllowed$"
		data    = "^TestDelimitersThatAreData"
		dots    = "^TestNamesThatEndInADot$"
		other   = "^TestPathsOfOtherRoutes"
		query   = "^TestQueryConditions$"
		headers = "^TestCleanHeader$"
		method  = "^TestMethodOverrideParameters$"
		report  = "^TestReportModeBesideEnforcedRoutes$"
		target  = "^(TestNewRequest|TestMethods|TestAmbiguityTable)$"
	)
	mutation.Caught(t, []mutation.Mutant{
		{Name: "empty segments", Run: paths, File: "pathsegment.go", Old: `if s == "" {`, New: "if false {"},
		{Name: "dots at the end of a segment", Run: paths, File: "pathsegment.go", Old: "if s[len(s)-1] == '.' {", New: "if false {"},
		{Name: "dots at the end of a space or resource", Run: "^TestGrantsForNamesThatEndInADot$", File: "decide.go", Old: "return len(short) == len(value) || covers(sorted, short)", New: "return short != \"\""},
		{Name: "a slash at the end of the rest of a path", Run: "^TestGrantsForNamesThatEndInADot$", File: "source.go", Old: "value += \"/\" //", New: "value += \"\" //"},
		{Name: "numbers that are cut at an escape, in a path", Run: "^TestSpaceAndResourceSources$", File: "source.go", Old: "cutsNumber(m.path.rawAt(s))", New: "false"},
		{Name: "numbers that are cut at an escape, in a query", Run: "^TestSpaceAndResourceSources$", File: "source.go", Old: "if m.cutsValue(s.name) {", New: "if false {"},
		{Name: "dots behind what ends a name", Run: "^TestSpaceAndResourceSources$", File: "replaced.go", Old: "return name[i] == '.'", New: "return true"},
		{Name: "what is mounted at a path, up to an escape", Run: "^TestSegmentsThatBeginLikeALiteral$", File: "secondlook.go", Old: "l.by(m.path.mounted(m.policy.mounts)...)", New: ""},
		{Name: "empty parameters between literals", Run: "^TestSegmentsThatBeginLikeALiteral$", File: "alike.go", Old: "if len(text) < len(before)+len(after) || !alike(", New: "if len(text) <= len(before)+len(after) || !alike("},
		{Name: "another space on a route that asks the same", Run: other, File: "secondlook.go", Old: "|| l.shifts(other)", New: ""},
		{Name: "dots at the end of a literal", Run: "^TestLiteralsThatEndInADot$", File: "alike.go", Old: "literal = strings.TrimSuffix(literal, \".\") // dropped", New: "// dropped"},
		{Name: "the same, where it is worth a look", Run: "^TestLiteralsThatEndInADot$", File: "alike.go", Old: "\tliteral = strings.TrimSuffix(literal, \".\")\n\tif !isASCII", New: "\tif !isASCII"},
		{Name: "dots at the end of what has no name", Run: dots, File: "match.go", Old: "m.path.dotted && !m.path.dotsFit(r)", New: "false"},
		{Name: "dots behind other than names", Run: dots, File: "path.go", Old: "dotted && (unicode.IsLetter(last) || unicode.IsNumber(last))", New: "dotted && last > 0"},
		{Name: "dots at the end of scripts and indexes", Run: dots, File: "readings.go", Old: "if p.dotted {", New: "if false {"},
		{Name: "blanks around a segment", Run: paths, File: "pathsegment.go", Old: "if s[0] == ' ' || s[len(s)-1] == ' ' {", New: "if false {"},
		{Name: "controls", Run: paths, File: "pathsegment.go", Old: "case c < ' ' || c == 0x7f:", New: "case false:"},
		{Name: "encoded slashes", Run: paths, File: "pathsegment.go", Old: "case c == '/' && encoded == slashesRefused:", New: "case false:"},
		{Name: "backslashes", Run: paths, File: "pathsegment.go", Old: `case c == '\\':`, New: "case false:"},
		{Name: "double encoding", Run: data, File: "pathsegment.go", Old: "case c == '%' && beginsEscape(s[i:]):", New: "case false:"},
		{Name: "percent signs", Run: paths, File: "pathsegment.go", Old: "case c == '%' && encoded != slashesData:", New: "case false:"},
		{Name: "semicolons", Run: paths, File: "pathsegment.go", Old: "case c == ';' && !allowSemicolon:", New: "case false:"},
		{Name: "ends of the path", Run: paths, File: "pathsegment.go", Old: "case (c == '?' || c == '#') && encoded != slashesData:", New: "case false:"},
		{Name: "cut at a ?", Run: data, File: "readings.go", Old: "all = p.appendCut(all, r, '?', cutsAtDelimiter)", New: ""},
		{Name: "cut at a #", Run: data, File: "readings.go", Old: "all = p.appendCut(all, r, '#', cutsAtDelimiter)", New: ""},
		{Name: "dots where it is cut", Run: "^TestPathsThatAreCutOff$", File: "readings.go", Old: `up == "." || up == ".."`, New: "false"},
		{Name: "slashes in literals", Run: data, File: "pattern.go", Old: "encoded = slashesRefused //", New: "encoded = slashesData //"},
		{Name: "bytes that Go encodes anew", Run: paths, File: "path.go", Old: "\t\tdefault:\n\t\t\treturn belongsEncoded(\"path\", escaped[i])", New: "\t\tdefault:"},
		{Name: "UTF-8", Run: paths, File: "pathsegment.go", Old: "if !utf8.ValidString(s) {", New: "if false {"},
		{Name: "invisible characters", Run: paths, File: "pathsegment.go", Old: "case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Z):", New: "case unicode.In(r):"},
		{Name: "characters that become ASCII", Run: paths, File: "pathsegment.go", Old: "case looksASCII(r):", New: "case false:"},
		{Name: "an authority that is encoded", Run: allowed, File: "path.go", Old: "if strings.HasPrefix(p.text, \"//\") {", New: "if false {"},
		{Name: "slashes that are data, among others", Run: "^TestEncodedSlashesInNames$", File: "source.go", Old: "if s.tail && !lenient {", New: "if false {"},
		{Name: "what hides in a segment", Run: allowed, File: "pathsegment.go", Old: "if encoded != slashesRefused || allowSemicolon {", New: "if false {"},

		{Name: "a second look", Run: other, File: "secondlook.go", Old: "if m.Route != nil && m.Reason == Forward {", New: "if false {"},
		{Name: "a second look for case", Run: other, File: "match.go", Old: "!m.unsure && (m.odd || m.path.marked)", New: "!m.unsure && m.path.marked"},
		{Name: "a second look for marks", Run: other, File: "match.go", Old: "!m.unsure && (m.odd || m.path.marked)", New: "!m.unsure && m.odd"},
		{Name: "case around parameters", Run: other, File: "tree.go", Old: "m.odd = m.odd || p.nearlyMatches(text)", New: "continue"},
		{Name: "literals alike", Run: other, File: "secondlook.go", Old: "for j := range n.edges {\n", New: "for j := range n.edges[:0] {\n"},
		{Name: "partial parameters alike", Run: other, File: "secondlook.go", Old: "!p.matches(text) && p.resembles(text) && (", New: "false && ("},
		{Name: "punctuation", Run: other, File: "alike.go", Old: "func joins(c byte) bool { return ", New: "func joins(c byte) bool { return false && "},
		{Name: "what stands behind equals signs", Run: other, File: "readings.go", Old: "if strings.IndexByte(p.text, '=') >= 0 {", New: "if false {"},
		{Name: "several for one", Run: other, File: "alike.go", Old: "isJoint(name[i]) && isJoint(name[i-1])", New: "false"},
		{Name: "several for one are looked for", Run: other, File: "path.go", Old: "p.marked = p.marked || pathBytes[escaped[i-1]] == joint", New: ""},
		{Name: "underscores around a name", Run: other, File: "alike.go", Old: "if c == '_' || text[len(text)-1] == '_' { // see tidy", New: "if false {"},
		{Name: "default actions", Run: other, File: "path.go", Old: "p.marked || isDefaultAction(last)", New: "p.marked"},
		{Name: "formats", Run: other, File: "alike.go", Old: "if last && rest != \"\" && rest[0] == '.' {", New: "if false {"},
		{Name: "blanks behind a name", Run: other, File: "alike.go", Old: `rest = strings.TrimLeft(rest, "+ .")`, New: ""},
		{Name: "path parameters", Run: other, File: "alike.go", Old: `case rest == "", rest[0] == ';':`, New: `case rest == "":`},
		{Name: "keys behind a name", Run: other, File: "alike.go", Old: `return strings.HasSuffix(rest, ")")`, New: "return false"},
		{Name: "keys that have a route", Run: other, File: "secondlook.go", Old: "&& !l.onKeys(i, e.literal) &&", New: "&&"},
		{Name: "names in names", Run: other, File: "secondlook.go", Old: "if l.inList ||", New: "if true ||"},
		{Name: "views", Run: other, File: "secondlook.go", Old: "ok && l.onName(n.next(view), i)", New: "ok && view == \"\""},
		{Name: "the narrower query before the method", Run: "^TestSpecificity$", File: "tree.go", Old: "&& (best == nil || !m.onStricter(routes[:i], r))", New: "&& i >= 0"},
		{Name: "parameters that replace the path", Run: method, File: "override.go", Old: "case namesPath(name):", New: "case false:"},
		{Name: "streams", Run: other, File: "alike.go", Old: "return len(rest) > 1 && (rest[1] == ':' || rest[1] == '$')", New: "return false"},
		{Name: "short names", Run: other, File: "alike.go", Old: "return shortName(text, literal)", New: "return false"},
		{Name: "accents", Run: other, File: "alike.go", Old: "case unicode.In(r, unicode.Mn, unicode.Cf):", New: "case unicode.In(r):"},
		{Name: "numbers that overflow", Run: other, File: "typed.go", Old: "if d >= longNumber {", New: "if false {"},
		{Name: "signs that the filter lets through", Run: other, File: "alike.go", Old: "c == '-' || c == '(' ||", New: "c == '(' ||"},
		{Name: "booleans", Run: other, File: "typed.go", Old: "if equalFold(text, word) {", New: "if equalFold(text, word) && false {"},
		{Name: "UUIDs", Run: other, File: "typed.go", Old: "return ok && got == want", New: "return ok && got == want && false"},
		{Name: "sessions", Run: other, File: "secondlook.go", Old: "case hasSessionSegment(m.path.text):", New: "case false:"},
		{Name: "virtual hosts", Run: other, File: "secondlook.go", Old: "case m.path.hasVirtualHost(m.Route):", New: "case false:"},
		{Name: "virtual hosts in plain paths", Run: other, File: "path.go", Old: "p.marked = p.marked || isVirtualHost(s)", New: ""},
		{Name: "virtual hosts of a route's own", Run: other, File: "filename.go", Old: "if isVirtualHost(s) && !(r != nil &&", New: "if isVirtualHost(s) && !(false &&"},
		{Name: "literals that aren't decoded", Run: other, File: "readings.go", Old: "if p.oddlyEscaped {", New: "if false {"},
		{Name: "brackets in literals that aren't", Run: other, File: "path.go", Old: "case bracket:\n\t\t\tp.marked, p.oddlyEscaped = true, true", New: "case bracket:\n\t\t\tp.marked = true"},
		{Name: "the same, beside what is encoded", Run: other, File: "path.go", Old: "case bracket:\n\t\t\t\tp.oddlyEscaped = true", New: "case bracket:"},
		{Name: "slashes that are", Run: other, File: "readings.go", Old: `strings.Count(whole, "/") > p.n {`, New: "false && whole != \"\" {"},
		{Name: "scripts", Run: other, File: "readings.go", Old: "if !last && isScript(s) {", New: "if false {"},
		{Name: "what is behind a script in its directory", Run: "^TestPathsBehindScripts$", File: "readings.go", Old: "all = appendPath(all, p.text[:p.bounds[i]]+path, runsScript, s)", New: ""},
		{Name: "what is behind a file", Run: other, File: "secondlook.go", Old: "if !file || i+1 >= l.m.path.n ||", New: "if file || i+1 >= l.m.path.n ||"},
		{Name: "the same, with a parameter in its name", Run: other, File: "filename.go", Old: "return strings.LastIndexByte(p.before, '.') > 0 || strings.IndexByte(p.after, '.') >= 0", New: "return false"},
		{Name: "what is glued to a script", Run: "^TestPathsBehindScripts$", File: "readings.go", Old: "end := endOfScript(s); end > 0 {", New: "end := 0; end > 0 {"},
		{Name: "paths before ampersands and blanks", Run: "^TestParametersInPath$", File: "readings.go", Old: "if end < 0 {", New: "if true {"},
		{Name: "partial parameters before ampersands and blanks", Run: "^TestNamesThatAreCutOff$", File: "secondlook.go", Old: "l.findNamed(p.to, i+1, p.matches(whole))", New: `l.findNamed(p.to, i+1, whole != "")`},
		{Name: "ampersands in names", Run: "^TestPathsThatAreCutOff$", File: "readings.go", Old: "c == ' ' && r.takes", New: "r.takes"},
		{Name: "blanks in what nobody names", Run: "^TestPathsThatAreCutOff$", File: "readings.go", Old: "c == ' ' && r.takes(cut.n-1)", New: "c == ' '"},
		{Name: "fractions", Run: "^TestConditionsOnFractions$", File: "condition.go", Old: "if equalNumbers(got, want) {", New: "if false {"},
		{Name: "parameters behind ampersands", Run: "^TestParametersInPath$", File: "secondlook.go", Old: "case m.path.hasParameters():", New: "case false:"},
		{Name: "keys behind ampersands", Run: "^TestParametersInPath$", File: "query.go", Old: "case hasKey(m.path.behindAmpersand(), l.key):", New: "case false:"},
		{Name: "parameters of the path in the query", Run: "^TestSpaceAndResourceSources$", File: "replaced.go", Old: "case len(others) > 0:", New: "case len(others) > maxReadings:"},
		{Name: "blanks at the ends of values", Run: "^TestSpaceAndResourceSources$", File: "source.go", Old: "strings.TrimFunc(value, isTrimmed) != value", New: "false"},
		{Name: "the same, beside other routes", Run: "^TestParametersOfPathInQuery$", File: "match.go", Old: `m.odd = m.odd || m.query != "" && m.isReplaced()`, New: ""},
		{Name: "several of them", Run: "^TestParametersOfPathInQuery$", File: "replaced.go", Old: "for _, path := range paths {\n", New: "for _, path := range paths[:1] {\n"},
		{Name: "too many of them", Run: "^TestParametersOfPathInQuery$", File: "replaced.go", Old: "if len(paths) > maxReadings {", New: "if false {"},
		{Name: "parameters that take all the rest", Run: "^TestParametersOfPathInQuery$", File: "tree.go", Old: "at = append(at, len(r.pattern.segments))", New: ""},
		{Name: "commas in headers", Run: "^TestSpaceAndResourceSources$", File: "source.go", Old: "strings.IndexByte(values[0], ',') >= 0:", New: "strings.IndexByte(values[0], ',') >= 100:"},
		{Name: "encoded words in headers", Run: "^TestSpaceAndResourceSources$", File: "source.go", Old: "strings.Contains(values[0], \"=?\"):", New: "strings.Contains(values[0], \"=??\"):"},
		{Name: "charsets of the path", Run: "^TestOtherCharset$", File: "replaced.go", Old: "if !isASCII(value) && charsetOf(", New: "if false && charsetOf("},
		{Name: "charsets of values that count", Run: "^TestOtherCharset$", File: "query.go", Old: `why == "" && !m.charset.keepsValues(`, New: `false && !m.charset.keepsValues(`},
		{Name: "names in charsets like ASCII", Run: "^TestOtherCharset$", File: "charset.go", Old: "!c.keeps(name)", New: "name == \"?\""},
		{Name: "indexes", Run: other, File: "readings.go", Old: "if isIndex(s) && (last || isScript(s)) {", New: "if false {"},
		{Name: "indexes that are programs", Run: other, File: "readings.go", Old: "return isProgram(s) || isPage(s)\n", New: "return true\n"},
		{Name: "indexes that are actions", Run: "^TestSegmentsThatAreNamed$", File: "readings.go", Old: `r.pattern.tailName != "" && (isProgram(s) || isPage(s))`, New: `r.pattern.tailName != ""`},
		{Name: "pages of what has no name", Run: other, File: "filename.go", Old: "return isDefaultAction(s) || isPage(s) ||", New: "return isDefaultAction(s) ||"},
		{Name: "keys that stand twice beside", Run: other, File: "secondlook.go", Old: "&& l.m.repeated.next() {", New: "&& false {"},
		{Name: "literals that lead nowhere undecoded", Run: "^TestUndecodedLiterals", File: "secondlook.go", Old: "if open && m.Reason == Forward &&", New: "if open && false &&"},

		{Name: "method parameters", Run: method, File: "match.go", Old: "overrides(m.query, m.method); why != \"\" {", New: "overrides(m.query, m.method); false {"},
		{Name: "method parameters that PHP finds", Run: method, File: "override.go", Old: "case '_', '.', '[': // method", New: "case '_': // method"},
		{Name: "method parameters of Restlet", Run: "^TestMethodParameterOfRestlet$", File: "secondlook.go", Old: "range m.tunnels {", New: "range m.tunnels[:0] {"},
		{Name: "paths in the names of parameters", Run: "^TestPathInParameter$", File: "override.go", Old: "if hasColon(name) && publishes(", New: "if false && publishes("},
		{Name: "types behind those names", Run: "^TestPathInParameter$", File: "override.go", Old: `case kind == "" || !plainBytes(kind, "-_"):`, New: "case true:"},
		{Name: "buttons that are images", Run: "^TestPathInParameter$", File: "override.go", Old: `for strings.HasSuffix(kind, ".x") ||`, New: "for false &&"},
		{Name: "parameters of Next.js", Run: "^TestReplacedParameters$", File: "override.go", Old: `(name[:4] == "nxtP" || name[:4] == "nxtI") &&`, New: "false &&"},
		{Name: "what is mounted at a path", Run: "^TestAmbiguityTable$", File: "secondlook.go", Old: "if found == nil && m.Reason == Forward {", New: "if false {"},
		{Name: "what is mounted at a path is looked for", Run: "^TestAmbiguityTable$", File: "tree.go", Old: "m.odd || r == nil && len(n.tails) > 0", New: "m.odd"},
		{Name: "the parameter by which WordPress routes", Run: target, File: "match.go", Old: "m.restRoute && (r == nil", New: "false && (r == nil"},
		{Name: "paths in queries", Run: target, File: "elsewhere.go", Old: "|| !m.hasQueryPath() {", New: "|| true {"},
		{Name: "the same, below a directory", Run: "^TestPathInQuery$", File: "elsewhere.go", Old: "l.byPathOfQuery(below+path, strict)", New: "l.byPathOfQuery(path, strict)"},
		{Name: "the same, behind a token", Run: "^TestPathInQueryBehindToken$", File: "elsewhere.go", Old: "query != \"\" && m.policy.StripToken {", New: "false {"},
		{Name: "paths behind short hosts", Run: "^TestPathsBehindShortHosts$", File: "elsewhere.go", Old: "|| !m.hasShortHost() {", New: "|| true {"},
		{Name: "data of pages", Run: target, File: "readings.go", Old: "if isData(last) {", New: "if false {"},
		{Name: "data of pages, by their paths", Run: target, File: "readings.go", Old: "for i := range p.n - 2 {", New: "for i := range 0 {"},
		{Name: "versions of files", Run: "^TestVersionsOfFiles$", File: "readings.go", Old: "case first == \"!svn\" &&", New: "case false &&"},
		{Name: "other charsets", Run: target, File: "match.go", Old: "m.charset, m.tunnels = charsetOf(m.header[\"Content-Type\"]), m.tunneled()", New: "m.tunnels = m.tunneled()"},
		{Name: "a second path", Run: "^TestSecondPath$", File: "match.go", Old: `case namesSecondPath(m.method) && len(m.header["Destination"]) > 0:`, New: "case false:"},

		{Name: "routes that aren't in report mode", Run: report, File: "match.go", Old: "case m.unsure && m.policy.enforces:", New: "case false:"},
		{Name: "the same, on no route", Run: report, File: "secondlook.go", Old: "if m.Reports() && m.policy.enforces {", New: "if m.Route != nil && m.Reports() && m.policy.enforces {"},
		{Name: "the same, on another", Run: report, File: "secondlook.go", Old: "if m.Reports() && m.policy.enforces {", New: "if m.Route == nil && m.Reports() && m.policy.enforces {"},

		{Name: "keys in other spellings", Run: query, File: "query.go", Old: "case sameKey(name, key):", New: "case false:"},
		{Name: "keys behind what has no name", Run: query, File: "query.go", Old: "strings.Cut(strings.TrimLeft(pair, \"=\"), \"=\")", New: "strings.Cut(pair, \"=\")"},
		{Name: "keys that are encoded twice", Run: query, File: "query.go", Old: "case !utf8.ValidString(name) || strings.IndexByte(name, '%') >= 0:", New: "case false:"},
		{Name: "values in other spellings", Run: query, File: "condition.go", Old: "case sameValue(value, c.value) && !slices.Contains(c.others, value):", New: "case slices.Contains([]string{}, value):"},
		{Name: "semicolons in queries", Run: query, File: "query.go", Old: "\t\tcase c == ';':\n", New: "\t\tcase false:\n"},

		{Name: "names that fold", Run: headers, File: "header.go", Old: "case !plain && name != ExtendedConnect, strings", New: "case strings"},
		{Name: "headers that mislead", Run: headers, File: "header.go", Old: "case plain && misleads(name):", New: "case false:"},
		{Name: "identity headers", Run: headers, File: "header.go", Old: "name != ExtendedConnect, strings.HasPrefix(name, IdentityPrefix):", New: "name != ExtendedConnect:"},
		{Name: "what Connection names", Run: headers, File: "header.go", Old: "\t\t\t\th.Del(option)", New: ""},
		{Name: "upgrades", Run: headers, File: "header.go", Old: "websocket = len(upgrade) == 1 && equalFold(upgrade[0], \"websocket\")", New: "websocket = len(upgrade) > 0"},

		{Name: "opaque targets", Run: target, File: "match.go", Old: `case r.URL.Opaque != "":`, New: "case false:"},
		{Name: "user names", Run: target, File: "match.go", Old: "case r.URL.User != nil:", New: "case false:"},
		{Name: "paths encoded anew", Run: target, File: "match.go", Old: `case raw != "" && req.Path != raw:`, New: "case false:"},
		{Name: "methods", Run: target, File: "method.go", Old: "return validMethod(method) && ", New: "return "},
		{Name: "tunnels", Run: target, File: "match.go", Old: "case !passableMethod(m.method):\n\t\treturn \"the", New: "case false:\n\t\treturn \"the"},
	})
}
