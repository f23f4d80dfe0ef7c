package handlers

import (
	"fmt"
	"html/template"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/auditlogs/auditlogs/models"
)

// TemplateFuncs are the functions templates may call. assets gives the address of a static file by
// name, as Handlers.Assets does.
func TemplateFuncs(assets func(name string) string) template.FuncMap {
	icon, glyph := icons(assets, "icon"), icons(assets, "icon glyph")
	return template.FuncMap{
		// asset "app.css": the address of a static file.
		"asset": assets,
		// icon "trash-2": an icon of static/icons.svg, beside a word that says the same.
		"icon": icon,
		// glyph "trash-2": the same at 14 px.
		"glyph": glyph,
		// initial "Acme": its first letter.
		"initial": initial,

		// datetime .OccurredAt: for the datetime attribute of <time>, in UTC.
		"datetime": datetime,
		// moment .OccurredAt .Frame.Location: "Nov 20, 2026, 14:03:22".
		"moment": func(m models.Micros, loc *time.Location) string {
			return shownMoment(m.Time().In(loc))
		},
		// exact .OccurredAt .Frame.Location: "Nov 20, 2026, 14:03:22.123456 CET".
		"exact": func(m models.Micros, loc *time.Location) string {
			return m.Time().In(loc).Format("Jan 2, 2006, 15:04:05.000000 MST")
		},
		// zone .ExpiresAt .Frame.Location: "CET", the zone's name at that moment.
		"zone": func(m models.Micros, loc *time.Location) string { return m.Time().In(loc).Format("MST") },
		// date .CreatedAt .Frame.Location: "Nov 20, 2026".
		"date": func(m models.Micros, loc *time.Location) string { return m.Time().In(loc).Format("Jan 2, 2006") },

		// poses .ActorID .ActorName: whether a person is called like automation.
		"poses": posesAsSystem,

		// count 3 "entry" "entries": "3 entries".
		"count": count,
		"join":  strings.Join,
		// number 12345: "12,345".
		"number": func(n int64) string { return grouped(int(n)) },
	}
}

// icons refers to symbols of the sprite by their names. They are for the eye only: what one means
// stands beside it, or in its button's label.
func icons(assets func(string) string, class string) func(name string) template.HTML {
	var made sync.Map // by name: a page has some hundred icons
	return func(name string) template.HTML {
		if icon, ok := made.Load(name); ok {
			return icon.(template.HTML)
		}
		icon := template.HTML(fmt.Sprintf(`<svg class="%s" aria-hidden="true"><use href="%s#%s"/></svg>`,
			class, template.HTMLEscapeString(assets("icons.svg")), template.HTMLEscapeString(name)))
		made.Store(name, icon)
		return icon
	}
}

// shownMoment is a moment as pages show it: "Nov 20, 2026, 14:03:22".
func shownMoment(t time.Time) string {
	return t.Format("Jan 2, 2006, 15:04:05") + offsetIfTwice(t)
}

func datetime(m models.Micros) string { return m.Time().Format("2006-01-02T15:04:05.999999Z") }

func initial(name string) string {
	for _, r := range name {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return string(unicode.ToUpper(r))
		}
	}
	return "·"
}

// count writes a number with its noun: "1 entry", "12,345 entries".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}

// grouped writes a number with a comma every three digits.
func grouped(n int) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
