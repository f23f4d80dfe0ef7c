package views

import (
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
)

// Glyph is the small picture before an action, by the kind of its verb. Danger marks removal
// and failure, which the verb says as well.
type Glyph struct {
	Icon   string
	Danger bool
}

// verbGlyphs go by words of the verb, so that an application's own verbs find theirs: the first
// word that is known decides, from the end of the verb.
var verbGlyphs = map[string]Glyph{
	"create":     {Icon: "plus"},
	"add":        {Icon: "plus"},
	"invite":     {Icon: "user-plus"},
	"join":       {Icon: "user-plus"},
	"update":     {Icon: "pencil"},
	"rename":     {Icon: "pencil"},
	"delete":     {Icon: "trash-2", Danger: true},
	"remove":     {Icon: "trash-2", Danger: true},
	"revoke":     {Icon: "trash-2", Danger: true},
	"fail":       {Icon: "triangle-alert", Danger: true},
	"failed":     {Icon: "triangle-alert", Danger: true},
	"refused":    {Icon: "triangle-alert", Danger: true},
	"denied":     {Icon: "triangle-alert", Danger: true},
	"cancel":     {Icon: "ban"},
	"end":        {Icon: "log-out"},
	"reset":      {Icon: "key-round"},
	"change":     {Icon: "pencil"},
	"rollback":   {Icon: "undo-2"},
	"enable":     {Icon: "power"},
	"disable":    {Icon: "power"},
	"activate":   {Icon: "power"},
	"link":       {Icon: "link"},
	"connect":    {Icon: "link"},
	"unlink":     {Icon: "unlink"},
	"disconnect": {Icon: "unlink"},
	"start":      {Icon: "radar"},
	"complete":   {Icon: "circle-check"},
	"up":         {Icon: "trending-up"},
	"down":       {Icon: "trending-down"},
	"in":         {Icon: "log-in"},
	"out":        {Icon: "log-out"},
	"export":     {Icon: "download"},
}

func GlyphOf(act string) Glyph {
	words := strings.Split(action.Action(act).Verb(), "_")
	for i := len(words) - 1; i >= 0; i-- {
		if glyph, known := verbGlyphs[words[i]]; known {
			return glyph
		}
	}
	return Glyph{Icon: "circle-dot"}
}
