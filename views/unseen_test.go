package views

import (
	"strings"
	"testing"
)

func TestWhatCannotBeSeenIsWrittenOut(t *testing.T) {
	for text, want := range map[string]string{
		"plain, ünïcödé 漢字 🙂":    "plain, ünïcödé 漢字 🙂",
		"inv\u202efdp.exe":       "inv⟨U+202E⟩fdp.exe",
		"a\x00b\x1b[31mc\rd\x7f": "a⟨U+0000⟩b⟨U+001B⟩[31mc⟨U+000D⟩d⟨U+007F⟩",
		"two\nlines\tand a tab":  "two\nlines\tand a tab",
		"two\u2028lines":         "two⟨U+2028⟩lines",
		"\ufeffbom\u00ad\u2800":  "⟨U+FEFF⟩bom⟨U+00AD⟩⟨U+2800⟩",
		"tag\U000e0041":          "tag⟨U+E0041⟩",

		// Emoji.
		"👩\u200d🚀 👩\U0001f3fd\u200d🚀 ❤\ufe0f\u200d🔥 👨\u200d👩\u200d👧": "👩\u200d🚀 👩\U0001f3fd\u200d🚀 ❤\ufe0f\u200d🔥 👨\u200d👩\u200d👧",
		"1\ufe0f\u20e3 ↔\ufe0f ©\ufe0f": "1\ufe0f\u20e3 ↔\ufe0f ©\ufe0f",
		"👩\u200d\u200d🚀":                "👩⟨U+200D⟩⟨U+200D⟩🚀",
		"❤\ufe0f\ufe0f":                 "❤\ufe0f⟨U+FE0F⟩",
		"a\ufe0fb\u200dc":               "a⟨U+FE0F⟩b⟨U+200D⟩c",
		"1\ufe0f":                       "1⟨U+FE0F⟩",
		"🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f!": "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f!",
		"🏴\U000e0068\U000e0069\U000e007f":                                "🏴⟨U+E0068⟩⟨U+E0069⟩⟨U+E007F⟩",
		"🙂\U000e0101\U000e0102":                                          "🙂⟨U+E0101⟩⟨U+E0102⟩",

		// Writing that joins.
		"می\u200cخواهم": "می\u200cخواهم", "ക്\u200d": "ക്\u200d", "क्\u200dष": "क्\u200dष", "葛\U000e0100": "葛\U000e0100",
		"سلام\u200c":             "سلام⟨U+200C⟩",
		"سلا\u200c\u200cم":       "سلا⟨U+200C⟩⟨U+200C⟩م",
		"سلام\u200cadmin":        "سلام⟨U+200C⟩admin",
		"pay\u200cpal\u200d.com": "pay⟨U+200C⟩pal⟨U+200D⟩.com",
		"葛\U000e0100\U000e0101":  "葛\U000e0100⟨U+E0101⟩",
		"Ada\u202e\u2066 Love":   "Ada⟨U+202E⟩⟨U+2066⟩ Love",
	} {
		if got := visible(text); got != want {
			t.Errorf("%+q reads %q, want %q", text, got, want)
		}
	}
	if got := visibleLine("a\nb\tc"); got != "a⟨U+000A⟩b⟨U+0009⟩c" {
		t.Errorf("in one line it reads %q", got)
	}
	if got := visibleJSON("{\"a\u202e\":\"\U000e0041\"}"); got != `{"a\u202e":"\udb40\udc41"}` {
		t.Errorf("in JSON it reads %q", got)
	}
}

func TestAPageIsWrittenOutWhereItIsRead(t *testing.T) {
	for page, want := range map[string]string{
		"<p>nothing\n\t“hidden” &amp; all</p>":                            "<p>nothing\n\t“hidden” &amp; all</p>",
		"<p>a\u202eb &lt;c&gt;</p>":                                       `<p>a<span class="unseen">⟨U+202E⟩</span>b &lt;c&gt;</p>`,
		"<title>a\u202eb</title><p>c":                                     "<title>a⟨U+202E⟩b</title><p>c",
		"<select><option value=\"\u202e\">a\u202eb</option></select>":     "<select><option value=\"\u202e\">a⟨U+202E⟩b</option></select>",
		"<textarea name=\"n\">a\u202eb</textarea><i>\u200b</i>":           "<textarea name=\"n\">a\u202eb</textarea><i><span class=\"unseen\">⟨U+200B⟩</span></i>",
		"<input value=\"a\u202e&#34;b\" aria-label=\"c\u200b\">":          "<input value=\"a\u202e&#34;b\" aria-label=\"c⟨U+200B⟩\">",
		"<a title=\"\u202e\" data-copy=\"\u202e\" data-shown=\"\u202e\">": "<a title=\"⟨U+202E⟩\" data-copy=\"\u202e\" data-shown=\"⟨U+202E⟩\">",
		"<!-- \u202e --><br/><p>👩\u200d🚀</p>":                             "<!-- \u202e --><br/><p>👩\u200d🚀</p>",
	} {
		if got := string(VisibleHTML([]byte(page))); got != want {
			t.Errorf("%+q becomes\n%s, want\n%s", page, got, want)
		}
	}
	long := strings.Repeat("<p>\u202e</p>", 1000)
	if got := string(VisibleHTML([]byte(long))); strings.Count(got, "⟨U+202E⟩") != 1000 {
		t.Error("part of a long page is lost")
	}
}
