package views

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/models"
)

// Whoever reads a name must know whose it is. Names that look the same carry what tells them apart,
// and a person who is called system or anonymous does so always.

// Namesakes are names on a page by what they look like, each with the ID of who has it; an empty ID
// where several have it.
type Namesakes map[string]string

func NamesakesOf(entries []models.Entry) Namesakes {
	names := make(Namesakes, len(entries))
	for i := range entries {
		names.Add(entries[i].ActorName, entries[i].ActorID)
		if p := entries[i].OnBehalfOf; p != nil {
			names.Add(p.Name, p.ID)
		}
	}
	return names
}

func (n Namesakes) Add(name, id string) {
	look := lookOf(name)
	if other, known := n[look]; known && other != id {
		id = ""
	}
	n[look] = id
}

// Note is what tells an actor apart from another on the page with the same name, or from automation;
// empty where nothing needs to.
func (n Namesakes) Note(id, name, email string) string {
	switch {
	case poses(id, name):
		return id
	case n[lookOf(name)] != "" || id == models.SystemActorID || id == name:
		return ""
	case email != "" && email != name:
		return email
	default:
		return id
	}
}

// poses reports whether a name looks like that of automation, or of nobody known, and is another's.
func poses(id, name string) bool {
	letters := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, lookOf(name))
	return (letters == models.SystemActorID || letters == event.AnonymousID) && letters != id
}

// lookOf is the same for names that are read as the same: whatever their case, width, white space and
// invisible characters, and with letters of Cyrillic and Greek that look like Latin ones.
func lookOf(name string) string {
	look := models.Fold(name)
	if strings.IndexFunc(look, func(r rune) bool { return r >= 0x80 }) >= 0 {
		look = latinLooks.Replace(models.Fold(norm.NFKC.String(look)))
	}
	return strings.Join(strings.Fields(look), " ")
}

// latinLooks replaces letters, folded, by the Latin ones they look like, small or as capitals.
var latinLooks = strings.NewReplacer(
	"а", "a", "в", "b", "е", "e", "һ", "h", "н", "h", "і", "i", "ј", "j", "к", "k", "м", "m", "о", "o", "р", "p", "с", "c", "ѕ", "s", "т", "t", "у", "y", "х", "x",
	"α", "a", "β", "b", "ε", "e", "η", "h", "ι", "i", "κ", "k", "μ", "m", "ν", "n", "ο", "o", "ρ", "p", "τ", "t", "υ", "y", "χ", "x", "ζ", "z", "ı", "i",
)
