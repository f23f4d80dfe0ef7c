package handlers

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/handlers/question"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/actors"
	"github.com/auditlogs/auditlogs/models/entries"
)

const (
	maxCompletions = 8
	// completedFrom is of how many of the newest entries values are offered that no list has, read so many at once, and
	// of how much metadata in bytes.
	completedFrom, completedAtOnce = 100, 10
	completedBytes                 = 1 << 20
	// maxCompleted is how long a value may be to be offered, in bytes.
	maxCompleted = 100
)

// completion is what may stand in the place of what is typed.
type completion struct {
	Label, Note string
	Text        string // the whole question with it
	At          int    // where typing goes on, as scripts count
}

// AuditLogCompletions serves what may be typed at a place (`at`) of a question (`q`), as the options of a list box.
func (h *Handlers) AuditLogCompletions(c *fiber.Ctx) error {
	scope := scopeOf(c)
	if !wantsFragment(c) {
		return redirect(c, settingsPath(scope.Organization, "audit-logs"))
	}
	text := c.Query(pageQuestion)
	if len(text) > maxSearchBytes {
		return badParameter(pageQuestion, fault.TooLarge, "is too long")
	}
	if !isText(text) {
		return badParameter(pageQuestion, fault.Malformed, "is not text")
	}
	completer := completer{h, scope, question.TypingAt(text, bytesTo(text, c.QueryInt("at", len(text)))), nil}
	if err := completer.complete(contextOf(c)); err != nil {
		return err
	}
	return h.render(c, fiber.StatusOK, "log/completions", completer.found)
}

// bytesTo is the place in text at which scripts have counted so many units of UTF-16.
func bytesTo(text string, units int) int {
	for i, r := range text {
		if units <= 0 {
			return i
		}
		units -= utf16.RuneLen(r)
	}
	return len(text)
}

// unitsTo is how many units of UTF-16 stand before a place in text.
func unitsTo(text string, at int) int { return len(utf16.Encode([]rune(text[:at]))) }

// completer finds completions.
type completer struct {
	h      *Handlers
	scope  *Scope
	typing question.Typing
	found  []completion
}

func (f *completer) complete(ctx context.Context) error {
	if f.typing.Key {
		return f.keys(ctx)
	}
	switch f.typing.Field {
	case entries.FieldText:
		f.fields()
	case entries.FieldAction, entries.FieldType:
		return f.kinds(ctx)
	case entries.FieldActor:
		return f.actors(ctx)
	case entries.FieldBy:
		for _, kind := range question.ActorTypes {
			f.offer(string(kind), "")
		}
	case entries.FieldOutcome:
		for _, outcome := range question.Outcomes {
			f.offer(string(outcome), "")
		}
	case entries.FieldHours:
		f.offer("mon-fri/9-18", "office hours")
		f.offer("sat-sun/0-24", "weekends")
	case question.FieldAfter, question.FieldBefore:
		for _, since := range []struct{ value, note string }{{"-1h", "an hour ago"}, {"-24h", "a day ago"}, {"-7d", "a week ago"}, {"-30d", "30 days ago"}} {
			f.offer(since.value, since.note)
		}
		f.offer(f.h.Store.Now().In(f.scope.Location).Format("2006-01-02"), "today")
	default:
		return f.values(ctx)
	}
	return nil
}

// fields offers those whose name begins with what is typed.
func (f *completer) fields() {
	for _, field := range question.Fields {
		if strings.HasPrefix(string(field.Field), strings.ToLower(f.typing.Typed)) {
			text, at := f.typing.WithField(field.Field)
			f.add(string(field.Field)+":", field.Means, text, at)
		}
	}
}

// kinds offers recorded actions, or types.
func (f *completer) kinds(ctx context.Context) error {
	kinds, err := f.h.Entries.Kinds(ctx, f.scope.Organization)
	if err != nil {
		return err
	}
	seen := map[string]int{}
	for _, kind := range kinds {
		if f.typing.Field == entries.FieldType {
			seen[kind.EntityType]++
		} else if seen[kind.Action]++; seen[kind.Action] == 1 {
			seen[ofEntity(kind.Action)+entries.AnyVerb]++
		}
	}
	for _, value := range slices.Sorted(maps.Keys(seen)) {
		if whole := strings.HasSuffix(value, entries.AnyVerb); !whole {
			f.offer(value, "")
		} else if seen[value] > 1 && f.matches(value) {
			f.addValue(value, value, "all of them")
		}
	}
	return nil
}

// actors offers those who acted, by their e-mails, or by their IDs.
func (f *completer) actors(ctx context.Context) (err error) {
	var found []models.Actor
	if f.typing.Typed == "" {
		found, _, err = actors.Latest(ctx, f.h.Store, f.scope.Organization, maxCompletions)
	} else {
		found, _, err = actors.Find(ctx, f.h.Store, f.scope.Organization, f.typing.Typed, maxCompletions)
	}
	for _, actor := range found {
		by := cmp.Or(actor.Email, actor.ID)
		note := by
		if by == actor.Name {
			note = ""
		}
		f.addValue(actor.Name, entries.Literal(by), note)
	}
	return err
}

// latest are the newest entries, of which values and keys are offered: fewer where they are long.
func (f *completer) latest(ctx context.Context) (latest []models.Entry, err error) {
	query, length := entries.Query{Limit: completedAtOnce}, 0
	for len(latest) < completedFrom && length < completedBytes {
		page, err := f.h.Entries.PageWithMetadata(ctx, f.scope.Organization, query)
		if err != nil {
			return nil, err
		}
		for i := range page.Entries {
			length += len(page.Entries[i].Metadata)
		}
		latest = append(latest, page.Entries...)
		if query.Cursor = page.Next; page.Next == nil {
			break
		}
	}
	return latest, nil
}

// values offers those that the newest entries have, the most frequent first.
func (f *completer) values(ctx context.Context) error {
	latest, err := f.latest(ctx)
	if err != nil {
		return err
	}
	seen := map[string]int{}
	for i := range latest {
		e := &latest[i]
		switch f.typing.Field {
		case entries.FieldID:
			seen[e.EntityID]++
		case entries.FieldName:
			seen[e.EntityName]++
		case entries.FieldIP:
			seen[e.IP]++
		case entries.FieldRequest:
			seen[e.RequestID]++
		case entries.FieldSource:
			seen[e.Source]++
		case entries.FieldKey:
			seen[cmp.Or(e.APIKeyName, e.APIKeyID)]++
		case entries.FieldMetadata:
			entries.EachValue(e, f.typing.Path, func(text string) { seen[text]++ })
		}
	}
	for _, value := range byFrequency(seen) {
		if value != "" && len(value) <= maxCompleted {
			f.offer(value, "")
		}
	}
	return nil
}

// keys offers those that stand at a path in the metadata of the newest entries.
func (f *completer) keys(ctx context.Context) error {
	latest, err := f.latest(ctx)
	if err != nil {
		return err
	}
	seen, nested := map[string]int{}, map[string]bool{}
	for i := range latest {
		for _, value := range below(&latest[i], f.typing.Path) {
			if object, ok := value.(map[string]any); ok {
				for key, value := range object {
					seen[key]++
					_, nested[key] = value.(map[string]any)
				}
			}
		}
	}
	for _, key := range byFrequency(seen) {
		if len(key) <= maxCompleted && f.matches(key) {
			text, at := f.typing.WithKey(key, !nested[key])
			f.add(key, "", text, at)
		}
	}
	return nil
}

// below are the values of an entry's metadata at a path, through lists.
func below(e *models.Entry, path []string) []any {
	var metadata any
	if json.Unmarshal([]byte(e.Metadata), &metadata) != nil {
		return nil
	}
	at := flat([]any{metadata})
	for _, key := range path {
		var next []any
		for _, value := range at {
			if object, ok := value.(map[string]any); ok {
				if value, ok := object[key]; ok {
					next = append(next, value)
				}
			}
		}
		at = flat(next)
	}
	return at
}

// flat has the elements of lists in their place.
func flat(values []any) (all []any) {
	for _, value := range values {
		if list, ok := value.([]any); ok {
			all = append(all, flat(list)...)
		} else {
			all = append(all, value)
		}
	}
	return all
}

func byFrequency(seen map[string]int) []string {
	values := slices.Sorted(maps.Keys(seen))
	slices.SortStableFunc(values, func(a, b string) int { return cmp.Compare(seen[b], seen[a]) })
	return values
}

// matches reports whether a value holds what is typed, ignoring case.
func (f *completer) matches(value string) bool {
	return strings.Contains(models.Fold(value), models.Fold(f.typing.Typed))
}

// offer adds a value of the field if it holds what is typed.
func (f *completer) offer(value, note string) {
	if f.matches(value) {
		f.addValue(value, entries.Literal(value), note)
	}
}

// addValue adds a value as the language has it.
func (f *completer) addValue(label, value, note string) {
	text, at := f.typing.WithValue(value)
	f.add(label, note, text, at)
}

func (f *completer) add(label, note, text string, at int) {
	if len(f.found) < maxCompletions && len(text) <= maxSearchBytes {
		f.found = append(f.found, completion{label, note, text, unitsTo(text, at)})
	}
}
