package handlers

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

// entryJSON is an entry as the API answers it.
type entryJSON struct {
	ID         string           `json:"id"`
	OccurredAt string           `json:"occurred_at"`
	RecordedAt string           `json:"recorded_at"`
	Action     string           `json:"action"`
	EntityType string           `json:"entity_type"`
	EntityID   string           `json:"entity_id"`
	EntityName string           `json:"entity_name"`
	Actor      entryActorJSON   `json:"actor"`
	Request    entryRequestJSON `json:"request"`
	APIKey     *entryKeyJSON    `json:"api_key,omitempty"` // absent where the event came another way
	URL        string           `json:"url"`
	Metadata   json.RawMessage  `json:"metadata"`
	Origin     models.Origin    `json:"origin,omitempty"`   // absent where it was recorded here
	Original   json.RawMessage  `json:"original,omitempty"` // absent where nothing is known of it

	// Absent where that goes without saying: for a success, and where there is nothing of the kind.
	Outcome      event.Outcome `json:"outcome,omitempty"`
	Reason       string        `json:"reason,omitempty"`
	NativeAction string        `json:"native_action,omitempty"`
	Related      []relatedJSON `json:"related,omitempty"`
	Masked       int           `json:"masked,omitempty"`
}

// entryActorJSON is a person or the like, or the automation behind "system": one has an e-mail, the other a source.
type entryActorJSON struct {
	Type       event.ActorType `json:"type,omitempty"` // absent for a person, and for "system"
	ID         string          `json:"id"`
	Name       string          `json:"name"`
	Email      *string         `json:"email,omitempty"`
	Source     *string         `json:"source,omitempty"`
	OnBehalfOf *principalJSON  `json:"on_behalf_of,omitempty"`
}

// principalJSON is event.Principal.
type principalJSON struct {
	Type    event.ActorType `json:"type,omitempty"` // absent for a person
	ID      string          `json:"id"`
	Name    string          `json:"name"`
	Email   string          `json:"email,omitempty"`
	Session string          `json:"session,omitempty"`
}

// relatedJSON is event.Resource.
type relatedJSON struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	Role string `json:"role,omitempty"`
}

type entryRequestJSON struct {
	IP        string `json:"ip"`
	UserAgent string `json:"user_agent"`
	ID        string `json:"id"`
}

type entryKeyJSON struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func entryAsJSON(e *models.Entry) entryJSON {
	entry := entryJSON{
		ID:         e.ID.String(),
		OccurredAt: e.OccurredAt.RFC3339(),
		RecordedAt: e.RecordedAt.RFC3339(),
		Action:     e.Action,
		EntityType: e.EntityType,
		EntityID:   e.EntityID,
		EntityName: e.EntityName,
		Actor:      entryActorJSON{Type: e.ActorType, ID: e.ActorID, Name: e.ActorName, OnBehalfOf: (*principalJSON)(e.OnBehalfOf)},
		Request:    entryRequestJSON{e.IP, e.UserAgent, e.RequestID},
		URL:        e.URL,
		Metadata:   json.RawMessage(exportMetadata(*e)),
		Origin:     e.Origin,
		Original:   json.RawMessage(e.Original),

		Outcome: e.Outcome, Reason: e.Reason, NativeAction: e.NativeAction, Related: relatedAsJSON(e.Related), Masked: e.Masked,
	}
	if e.BySystem() {
		entry.Actor.Source = &e.Source
	} else {
		entry.Actor.Email = &e.ActorEmail
	}
	if e.APIKeyID != "" {
		entry.APIKey = &entryKeyJSON{e.APIKeyID, e.APIKeyName}
	}
	return entry
}

func relatedAsJSON(related []event.Resource) (all []relatedJSON) {
	for _, r := range related {
		all = append(all, relatedJSON(r))
	}
	return all
}

// entriesJSON is a page of entries, and where its neighbours are.
type entriesJSON struct {
	Entries  []entryJSON `json:"entries"`
	Next     *string     `json:"next"`
	Previous *string     `json:"previous"`
	Partial  bool        `json:"partial,omitempty"`   // it ended before it was full: looking further takes another request
	LookedTo *string     `json:"looked_to,omitempty"` // how far was looked then, where that is a time
}

// ListEntries responds with a page of entries: the same as the log's page for the same query.
func (h *Handlers) ListEntries(c *fiber.Ctx) error {
	if err := onlyParameters(c, filterParameters...); err != nil {
		return err
	}
	filter, err := ParseFilter(string(c.Request().URI().QueryString()), time.UTC, h.Store.Now())
	if err != nil {
		return err
	}
	page, err := h.Entries.PageWithMetadata(contextOf(c), callerOf(c).org, filter.Query())
	if err != nil {
		return err
	}
	answer := entriesJSON{Entries: make([]entryJSON, len(page.Entries))}
	for i := range page.Entries {
		answer.Entries[i] = entryAsJSON(&page.Entries[i])
	}
	if looked := page.Looked; looked != nil {
		if answer.Partial = true; filter.Sort == entries.SortTimestamp {
			to := models.MicrosOf(looked.ID.Occurred()).RFC3339()
			answer.LookedTo = &to
		}
	}
	var links []string
	for _, neighbour := range []struct {
		relation string
		cursor   *entries.Cursor
		address  **string
	}{{"next", page.Next, &answer.Next}, {"prev", page.Previous, &answer.Previous}} {
		if neighbour.cursor == nil {
			continue
		}
		address := filter.At(neighbour.cursor).Address(c.Path())
		*neighbour.address = &address
		links = append(links, fmt.Sprintf("<%s>; rel=%q", address, neighbour.relation))
	}
	if len(links) > 0 {
		c.Set(fiber.HeaderLink, strings.Join(links, ", "))
	}
	return sendJSON(c, fiber.StatusOK, fiber.MIMEApplicationJSON, answer)
}

// ShowEntry responds with one entry. A malformed, unknown, expired or foreign ID is the same 404.
func (h *Handlers) ShowEntry(c *fiber.Ctx) error {
	if err := onlyParameters(c); err != nil {
		return err
	}
	id, err := models.ParseEntryID(c.Params("entry"))
	if err != nil {
		return fmt.Errorf("%w: %w", models.ErrNotFound, err)
	}
	entry, err := h.Store.FindEntry(contextOf(c), callerOf(c).org, id)
	if err != nil {
		return err
	}
	return sendJSON(c, fiber.StatusOK, fiber.MIMEApplicationJSON, entryAsJSON(&entry))
}
