package views

import (
	"html/template"
	"strings"
	"time"
	"unicode"

	"github.com/auditlogs/auditlogs/models"
)

// functions are those that templates may call.
func functions(asset func(name string) string) template.FuncMap {
	return template.FuncMap{
		// asset "app.css": the address of a static file.
		"asset": asset,
		// icon "trash-2": an icon of static/icons.svg, beside a word that says the same.
		"icon": icons(asset, "icon"),
		// glyph "trash-2": the same at 14 px.
		"glyph": icons(asset, "icon glyph"),
		// initial "Acme": its first letter.
		"initial": initial,

		// datetime .OccurredAt: for the datetime attribute of <time>, in UTC.
		"datetime": Datetime,
		// moment .OccurredAt .Frame.Location: "Nov 20, 2026, 14:03:22".
		"moment": func(m models.Micros, loc *time.Location) string {
			return Moment(m.Time().In(loc))
		},
		// exact .OccurredAt .Frame.Location: "Nov 20, 2026, 14:03:22.123456 CET".
		"exact": func(m models.Micros, loc *time.Location) string {
			return m.Time().In(loc).Format("Jan 2, 2006, 15:04:05.000000 MST")
		},
		// zone .ExpiresAt .Frame.Location: "CET", the zone's name at that moment.
		"zone": func(m models.Micros, loc *time.Location) string { return m.Time().In(loc).Format("MST") },
		// date .CreatedAt .Frame.Location: "Nov 20, 2026".
		"date": func(m models.Micros, loc *time.Location) string { return m.Time().In(loc).Format("Jan 2, 2006") },

		// poses .ActorID .ActorName: whether a person is called like automation, or like nobody known.
		"poses": poses,
		// kind .ActorType .ActorID: the mark of an actor that is no person.
		"kind": KindOf,
		// outcome .Outcome: "failed" or "denied", or empty.
		"outcome": OutcomeInWords,

		// breakable .EntityID: a long ID breaks where its parts end rather than anywhere.
		"breakable": func(id string) template.HTML {
			return template.HTML(partsEnd.Replace(template.HTMLEscapeString(id)))
		},

		// count 3 "entry" "entries": "3 entries".
		"count": Count,
		"join":  strings.Join,
		// number 12345: "12,345".
		"number": func(n int64) string { return Number(int(n)) },
	}
}

var partsEnd = strings.NewReplacer("/", "/<wbr>", ":", ":<wbr>", ".", ".<wbr>", "@", "@<wbr>")

// icons refers to symbols of the sprite by their names. They are for the eye only: what one means
// stands beside it, or in its button's label.
func icons(asset func(string) string, class string) func(name string) template.HTML {
	return func(name string) template.HTML {
		return template.HTML(`<svg class="` + class + `" aria-hidden="true"><use href="` +
			template.HTMLEscapeString(asset("icons.svg")+"#"+name) + `"/></svg>`)
	}
}

func initial(name string) string {
	for _, r := range name {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return string(unicode.ToUpper(r))
		}
	}
	return "·"
}
