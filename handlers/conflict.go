package handlers

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// loadedValue is what a field held when its form was loaded, as the form says in another one: `loaded_`
// and its name. A script may leave that out.
type loadedValue struct {
	value string
	says  bool
}

// loaded reads it from the body of the request, or from the address where that is part of the form.
func loaded(c *fiber.Ctx, field string) loadedValue {
	field = "loaded_" + field
	arguments := c.Request().PostArgs()
	if c.Method() == fiber.MethodGet {
		arguments = c.Context().QueryArgs()
	}
	return loadedValue{string(arguments.Peek(field)), arguments.Has(field)}
}

// conflicts reports whether saving typed would undo what somebody else has stored since.
func (l loadedValue) conflicts(stored, typed string) bool {
	return l.says && l.value != stored && typed != stored
}

// or is what the form says again when it is shown once more: what it was loaded with, or else what is
// stored.
func (l loadedValue) or(stored string) string {
	if l.says {
		return l.value
	}
	return stored
}

// conflict is a setting that somebody else changed while a form with it was open.
type conflict struct {
	What   string // "The name"
	Stored string // what is stored now; empty where it was removed
	By     accounts.LastChange
}

// conflicts is what shared/conflict says instead of saving. What was typed stands in the form below,
// which is loaded with what is stored now: sent again, it is saved.
type conflicts struct {
	Changed  []conflict
	Again    string // what to do, "Save again to replace it."
	Location *time.Location
}

// conflictError keeps a transaction from undoing what somebody else changed.
type conflictError struct{ changed []conflict }

func (*conflictError) Error() string { return "somebody else has changed this in the meantime" }

func (e *conflictError) add(what, stored string, by accounts.LastChange) {
	e.changed = append(e.changed, conflict{what, stored, by})
}

// shown is the error for the form that is shown again.
func (e *conflictError) shown(again string, zone *time.Location) *conflicts {
	return &conflicts{Changed: e.changed, Again: again, Location: zone}
}

// conflictOver is the conflict over a setting, in a transaction that holds the organization's lock.
func conflictOver(ctx context.Context, tx *gorm.DB, orgID int64, setting, what, stored string) error {
	by, err := accounts.LastChangeOf(ctx, tx, orgID, setting)
	if err != nil {
		return err
	}
	return &conflictError{[]conflict{{what, stored, by}}}
}

// noteChange keeps that the actor of ctx changed a setting.
func noteChange(ctx context.Context, tx *gorm.DB, orgID int64, setting string) error {
	actor := event.ActorFrom(ctx)
	return accounts.NoteChange(ctx, tx, orgID, setting, models.Actor{ID: actor.ID, Name: actor.Name, Email: actor.Email})
}
