package event

import (
	"regexp"
	"slices"
	"strings"
)

// tokenPrefix is how a service's tokens begin, and how many letters, digits, _ and - follow at least.
type tokenPrefix struct {
	text  string
	least int
}

// form is what a credential looks like, wherever it stands in a text.
type form struct {
	name     string
	literals []string // one of them is in every text that has the form
	anyCase  bool     // the literals, which are in lower case then, are in any
	atWord   bool     // the literal begins a word
	back     int      // how many bytes before the literal's end the pattern begins; 0: with the literal
	pattern  string   // is matched there
	// oncePerWord: where the pattern does not match, it does not match later in the same word either. All others fail
	// soon, so that a text of nothing but literals takes no longer than in proportion to its length.
	oncePerWord bool
	keeps       func(secret string) bool // reports what is none, in spite of its form; may be nil
	nests       int                      // the group that is the [ or { with which a list or an object begins; 0: none
}

// literal is what is looked for before anything slower.
type literal struct {
	text    string
	anyCase bool
	form    int // in forms; or
	prefix  int // in tokenPrefixes, where form is noForm
	rare    int // where the second of its two rarest bytes is
}

const noForm = -1

// The literals by the second of their rarest two bytes, and, to know soon that there is none, these two.
var (
	literals [256][]literal
	isSecond [256]bool
	isFirst  [256][256 / 64]uint64 // of a second, a bit each
	compiled = make([]*regexp.Regexp, len(forms))
)

func init() {
	for i, prefix := range tokenPrefixes {
		addLiteral(literal{text: prefix.text, form: noForm, prefix: i})
	}
	for i, f := range forms {
		compiled[i] = regexp.MustCompile(`\A(?:` + f.pattern + ")")
		for _, text := range f.literals {
			addLiteral(literal{text: text, anyCase: f.anyCase, form: i})
		}
	}
}

func addLiteral(l literal) {
	for i := range len(l.text) - 1 {
		if l.rare == 0 || rarity(l.text[i:i+2]) > rarity(l.text[l.rare-1:l.rare+1]) {
			l.rare = i + 1
		}
	}
	first, second := l.text[l.rare-1:l.rare], l.text[l.rare:l.rare+1]
	if l.anyCase {
		first, second = first+strings.ToUpper(first), second+strings.ToUpper(second)
	}
	for i, b := range []byte(second) {
		if i == 1 && b == second[0] {
			break // it has no case
		}
		literals[b], isSecond[b] = append(literals[b], l), true
		for _, a := range []byte(first) {
			isFirst[b][a>>6] |= 1 << (a & 63)
		}
	}
}

// rarity returns how seldom the bytes of a text are in values of metadata.
func rarity(text string) (sum int) {
	const usual = "etaoinsrdlcumhpgfybvwk0123456789.-_/:" // the most usual first
	for _, char := range []byte(text) {
		if at := strings.IndexByte(usual, char); at >= 0 {
			sum += at
		} else {
			sum += len(usual)
		}
	}
	return sum
}

// nextLiteral returns a literal in text whose rarest bytes are behind the first from bytes, and where it begins; nil
// where there is none. Nearly all text has none, and takes a nanosecond a byte.
func nextLiteral(text string, from int) (begin int, found *literal) {
	for i := max(from, 1); i < len(text); i++ {
		second := text[i]
		if !isSecond[second] {
			continue
		}
		first := text[i-1]
		if isFirst[second][first>>6]&(1<<(first&63)) == 0 {
			continue
		}
		for n := range literals[second] {
			l := &literals[second][n]
			begin, end := i-l.rare, i-l.rare+len(l.text)
			if begin >= 0 && end <= len(text) && (text[begin:end] == l.text || l.anyCase && strings.EqualFold(text[begin:end], l.text)) {
				return begin, l
			}
		}
	}
	return 0, nil
}

// maskForms returns text with Masked in place of what is known as a credential by its form. The rest of it stays.
func maskForms(text string) string {
	begin, l := nextLiteral(text, 0)
	if l == nil {
		return text
	}
	var secrets []span
	var last span // of what is masked already: nothing in it is looked at
	failed := 0   // the end of the word in which a form failed
	for ; l != nil; begin, l = nextLiteral(text, begin+l.rare+1) {
		if last.begin <= begin && begin < last.end {
			continue
		}
		var found []span
		if l.form == noForm {
			found = tokenAt(text, begin, l)
		} else if f := &forms[l.form]; !f.oncePerWord || begin >= failed {
			if found = f.at(text, begin, l, compiled[l.form]); found == nil && f.oncePerWord {
				failed = endOfWord(text, begin)
			}
		}
		for _, secret := range found {
			if secrets = append(secrets, secret); secret.end > last.end {
				last = secret
			}
		}
	}
	return replace(text, secrets)
}

// span is a part of a text.
type span struct{ begin, end int }

// tokenAt returns the token that begins with a literal, if there is one.
func tokenAt(text string, begin int, l *literal) []span {
	if begin > 0 && isAlphanumeric(text[begin-1]) {
		return nil
	}
	end := endOfWord(text, begin+len(l.text))
	if end-begin-len(l.text) < tokenPrefixes[l.prefix].least {
		return nil
	}
	return []span{{begin, end}}
}

// at returns the parts of text that are to be masked where the form's literal begins.
func (f *form) at(text string, begin int, l *literal, pattern *regexp.Regexp) (secrets []span) {
	from := begin
	if f.back > 0 {
		from = begin + len(l.text) - f.back
	}
	if from < 0 || f.atWord && begin > 0 && (isAlphanumeric(text[begin-1]) || text[begin-1] == '_') {
		return nil
	}
	groups := pattern.FindStringSubmatchIndex(text[from:])
	if len(groups) > 2 {
		groups = groups[2:]
	}
	for i := 0; i < len(groups); i += 2 {
		if groups[i] < 0 {
			continue // of another alternative
		}
		begin, end := from+groups[i], from+groups[i+1]
		switch secret := text[begin:end]; {
		case f.nests > 0 && i == 2*(f.nests-1):
			secrets = append(secrets, span{begin, endOfNested(text, begin, text[from] == '=')})
		case !isFact(secret) && (f.keeps == nil || !f.keeps(secret)):
			secrets = append(secrets, span{begin, end})
		}
	}
	return secrets
}

// endOfNested returns where a list or object ends that begins in a text, with what sticks to it; at the latest, the text
// ends. It may be JSON, or JSON in texts of JSON: there quotes have one backslash before them, or three, …
func endOfNested(text string, begin int, parameter bool) int {
	opening, closing := text[begin], text[begin]+2 // so ASCII has them
	depth, quoted, backslashes, before := 0, false, 0, 0
	for i := begin; i < len(text); i++ {
		switch char := text[i]; {
		case char == '\\':
			backslashes++
			continue
		case char == '"' && !quoted:
			quoted, before = true, backslashes
		case char == '"' && backslashes%(2*before+2) == before: // and is not a part of what is quoted
			quoted = false
		case quoted:
		case char == opening:
			depth++
		case char == closing:
			if depth--; depth > 0 {
				break
			}
			rest := text[i+1:]
			if !parameter && (strings.HasPrefix(rest, "]") || strings.HasPrefix(rest, "}")) {
				return i + 1 // of what is around
			}
			if n := strings.IndexAny(rest, " \t\r\n\f&;,\"'#\\"); n >= 0 {
				return i + 1 + n
			}
			return len(text)
		}
		backslashes = 0
	}
	return len(text)
}

// replace returns text with Masked in place of the parts, of which some may overlap.
func replace(text string, parts []span) string {
	slices.SortFunc(parts, func(a, b span) int { return a.begin - b.begin })
	var replaced strings.Builder
	at := 0
	for i, part := range parts {
		if i == 0 || part.begin >= at {
			replaced.WriteString(text[at:part.begin])
			replaced.WriteString(Masked)
		}
		at = max(at, part.end)
	}
	replaced.WriteString(text[at:])
	return replaced.String()
}

// endOfWord returns where the letters, digits, _ and - from begin on end.
func endOfWord(text string, begin int) int {
	for begin < len(text) && (isAlphanumeric(text[begin]) || text[begin] == '_' || text[begin] == '-') {
		begin++
	}
	return begin
}

func isAlphanumeric(char byte) bool {
	return 'a' <= char|0x20 && char|0x20 <= 'z' || '0' <= char && char <= '9'
}

func isHexadecimal(text string) bool { return strings.Trim(text, "0123456789abcdefABCDEF") == "" }

var longestSetting = len(slices.MaxFunc(settings, func(a, b string) int { return len(a) - len(b) }))

var keyID = regexp.MustCompile(`^(?:AKIA|ASIA)[A-Z0-9]{16}$`)

// isFact reports whether a text opens nothing, whatever it is the value of: a setting, the name of a resource of AWS, or
// the ID of a key of AWS.
func isFact(text string) bool {
	switch {
	case len(text) <= longestSetting:
		return slices.ContainsFunc(settings, func(setting string) bool { return strings.EqualFold(text, setting) })
	case strings.HasPrefix(text, "arn:"):
		return strings.Count(text, ":") >= 5 && !strings.ContainsAny(text, " \t\r\n")
	default:
		return keyID.MatchString(text)
	}
}
