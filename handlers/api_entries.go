package handlers

import (
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/handlers/exchange"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accesslog"
	"github.com/auditlogs/auditlogs/models/entries"
)

// entriesJSON is a page of entries, and where its neighbours are.
type entriesJSON struct {
	Entries  []any   `json:"entries"`
	Next     *string `json:"next"`
	Previous *string `json:"previous"`
	Partial  bool    `json:"partial,omitempty"`   // it ended before it was full: looking further takes another request
	LookedTo *string `json:"looked_to,omitempty"` // how far was looked then, where that is a time
}

// formParameter asks for entries in a form in which programs exchange events.
const formParameter = "format"

// askedForm returns the form that a request asks for.
func askedForm(c *fiber.Ctx) (exchange.Form, error) {
	form, ok := exchange.Named(c.Query(formParameter))
	if !ok {
		return form, badParameter(formParameter, fault.Invalid, "must be %s; without it entries have the form of this API", anyOf(exchange.Names()))
	}
	return form, nil
}

// logOf returns what all entries of an answer have in common.
func (h *Handlers) logOf(c *fiber.Ctx, org models.Organization) exchange.Log {
	return exchange.Log{Organization: org, Server: h.base(c), Path: settingsPath(org, "audit-logs")}
}

// ListEntries responds with a page of entries: the same as the log's page for the same query.
func (h *Handlers) ListEntries(c *fiber.Ctx) error {
	if err := onlyParameters(c, append([]string{formParameter}, apiFilterParameters...)...); err != nil {
		return err
	}
	form, err := askedForm(c)
	if err != nil {
		return err
	}
	filter, err := h.reading(c, nil).Filter(string(c.Request().URI().QueryString()))
	if err != nil {
		return err
	}
	page, err := h.Entries.PageWithMetadata(contextOf(c), callerOf(c).org, filter.Query())
	if err != nil {
		return err
	}
	h.noteListing(c, filter)
	log := h.logOf(c, callerOf(c).org)
	answer := entriesJSON{Entries: make([]any, len(page.Entries))}
	for i := range page.Entries {
		answer.Entries[i] = form.Of(log, &page.Entries[i])
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
		if form.Name != "" {
			address += "&" + formParameter + "=" + form.Name // behind the cursor
		}
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
	if err := onlyParameters(c, formParameter); err != nil {
		return err
	}
	form, err := askedForm(c)
	if err != nil {
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
	log := h.logOf(c, callerOf(c).org)
	h.noteReading(c, accesslog.KindEntry, log.Path+"/"+entry.ID.String())
	return sendJSON(c, fiber.StatusOK, fiber.MIMEApplicationJSON, form.Of(log, &entry))
}
