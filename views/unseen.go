package views

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/text/unicode/norm"

	"github.com/auditlogs/auditlogs/models"
)

// Nothing on a page may read as something it is not, so what cannot be seen is written out: an entity
// ID with U+202E in it reads inv⟨U+202E⟩fdp.exe. That happens to whole pages as they leave, so no
// template can forget it. What programs read stays as it is: values of form fields, data- attributes,
// exports and the API.
//
// Three uses that writing needs stay, where the character can do nothing else:
//   - between letters of one script that joins them, and behind a virama, one joiner;
//   - within emoji, joiners, a variation selector behind a symbol, and the tags of the three flags;
//   - behind a Chinese character, one variation selector.

// visible writes s out for what is not HTML.
func visible(s string) string {
	return writeOut(s, func(out *strings.Builder, r rune) { fmt.Fprintf(out, "⟨U+%04X⟩", r) })
}

// visibleLine is visible for what is one line: line feeds and tabs are written out as well.
func visibleLine(s string) string {
	return strings.NewReplacer("\n", "⟨U+000A⟩", "\t", "⟨U+0009⟩").Replace(visible(s))
}

// visibleJSON is JSON that says the same with escapes in place of what cannot be seen. (Outside of
// strings JSON has no such characters.)
func visibleJSON(s string) string {
	return writeOut(s, func(out *strings.Builder, r rune) {
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(out, `\u%04x`, unit)
		}
	})
}

// VisibleHTML writes out a page or a part of one.
func VisibleHTML(page []byte) []byte {
	if !hides(page) {
		return page
	}
	out := bytes.NewBuffer(make([]byte, 0, len(page)+len(page)/8))
	tokens := html.NewTokenizer(bytes.NewReader(page))
	element := "" // the one begun last
	for {
		kind := tokens.Next()
		raw := tokens.Raw()
		switch {
		case kind == html.ErrorToken:
			return out.Bytes()
		case kind == html.StartTagToken || kind == html.SelfClosingTagToken:
			hidden := hides(raw)
			written := string(raw)
			token := tokens.Token()
			element = token.Data
			if hidden {
				for i, attribute := range token.Attr {
					if shownAttribute(attribute.Key) {
						token.Attr[i].Val = visible(attribute.Val)
					}
				}
				written = token.String()
			}
			out.WriteString(written)
		case kind == html.TextToken && hides(raw):
			switch element {
			case "textarea", "script", "style": // values and programs
				out.Write(raw)
			case "title", "option": // have room for nothing but text
				out.WriteString(visible(string(raw)))
			default:
				out.WriteString(writeOut(string(raw), func(out *strings.Builder, r rune) {
					fmt.Fprintf(out, `<span class="unseen">⟨U+%04X⟩</span>`, r)
				}))
			}
		default:
			if kind == html.EndTagToken {
				element = ""
			}
			out.Write(raw)
		}
	}
}

// shownAttribute reports whether an attribute is for people. data-shown… is what a stylesheet shows.
func shownAttribute(name string) bool {
	return strings.HasPrefix(name, "data-shown") || name != "value" && !strings.HasPrefix(name, "data-")
}

// hides reports whether there may be something to write out.
func hides(text []byte) bool {
	for i := 0; i < len(text); {
		if b := text[i]; b >= ' ' && b < 0x7f || b == '\n' || b == '\t' {
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if models.Invisible(r) {
			return true
		}
		i += size
	}
	return false
}

// writeOut is s with write in place of every character that is not seen where it stands.
func writeOut(s string, write func(out *strings.Builder, r rune)) string {
	first := strings.IndexFunc(s, models.Invisible)
	if first < 0 {
		return s
	}
	var out strings.Builder
	out.WriteString(s[:first])
	before, _ := utf8.DecodeLastRuneInString(s[:first])
	for rest := s[first:]; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		stays := size
		if models.Invisible(r) {
			if stays = fitting(before, rest); stays == 0 {
				write(&out, r)
			}
		}
		out.WriteString(rest[:stays])
		before, rest = r, rest[max(size, stays):]
	}
	return out.String()
}

const (
	nonJoiner, joiner = '\u200c', '\u200d'
	blackFlag         = '\U0001f3f4'
	firstTag          = 0xe0000
)

// flagTags follow the black flag in those of England, Scotland and Wales.
var flagTags = func() (sequences []string) {
	for _, region := range []string{"gbeng", "gbsct", "gbwls"} {
		var tags strings.Builder
		for _, letter := range region {
			tags.WriteRune(firstTag + letter)
		}
		tags.WriteRune(firstTag + 0x7f)
		sequences = append(sequences, tags.String())
	}
	return sequences
}()

// fitting is how many bytes at the beginning of rest are unseen characters in a place where writing
// needs them; zero where there are none. before is what stands before them.
func fitting(before rune, rest string) int {
	r, size := utf8.DecodeRuneInString(rest)
	after, _ := utf8.DecodeRuneInString(rest[size:])
	switch {
	case r == joiner && (inEmoji(before) || before == '\ufe0f') && inEmoji(after),
		(r == joiner || r == nonJoiner) && (isVirama(before) || joinLetters(before, after)),
		(r == '\ufe0e' || r == '\ufe0f') && (inEmoji(before) || strings.ContainsRune("#*0123456789", before) && after == '\u20e3'),
		unicode.Is(unicode.Variation_Selector, r) && unicode.Is(unicode.Han, before):
		return size
	case before == blackFlag:
		for _, tags := range flagTags {
			if strings.HasPrefix(rest, tags) {
				return len(tags)
			}
		}
	}
	return 0
}

// inEmoji reports whether r may be part of an emoji, as a symbol or as the colour of a skin.
func inEmoji(r rune) bool {
	return !models.Invisible(r) && (unicode.Is(unicode.So, r) || r > 0x2000 && unicode.Is(unicode.Sm, r) ||
		r >= 0x1f3fb && r <= 0x1f3ff || r == '‼' || r == '⁉' || r == '〰')
}

// isVirama reports whether r takes the vowel from the letter before it: a joiner says what is drawn then.
func isVirama(r rune) bool { return r >= 0x900 && norm.NFC.PropertiesString(string(r)).CCC() == 9 }

// joiningScripts are those whose words are written with joiners.
var joiningScripts = []*unicode.RangeTable{
	unicode.Arabic, unicode.Syriac, unicode.Mongolian, unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi, unicode.Gujarati,
	unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala,
}

// joinLetters reports whether both are letters, or marks on letters, of one script that joins them.
func joinLetters(a, b rune) bool {
	if !unicode.In(a, unicode.L, unicode.M) || !unicode.In(b, unicode.L, unicode.M) {
		return false
	}
	for _, script := range joiningScripts {
		if unicode.Is(script, a) {
			return unicode.Is(script, b)
		}
	}
	return false
}
