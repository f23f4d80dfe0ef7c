package handlers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/handlers/exchange"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accesslog"
	"github.com/auditlogs/auditlogs/models/entries"
)

// Export sends a file of exactly what the filters of the address show: every page, in the same
// order, as it is at this moment. That somebody took it is recorded first.
func (h *Handlers) Export(c *fiber.Ctx) error {
	if err := refuseForeign(c); err != nil {
		return err
	}
	ctx, scope := contextOf(c), scopeOf(c)
	name := c.Query("format")
	format, ok := exportFormats[name]
	if !ok {
		return badParameter("format", fault.Invalid, "must be %s", anyOf(append([]string{"csv", "ndjson"}, exchange.Names()...)))
	}
	now := h.Store.Now()
	filter, err := h.reading(c, nil).Filter(string(c.Request().URI().QueryString()))
	if err != nil {
		return err
	}
	filter = filter.forAnybody()
	filter.Limit, filter.Columns = defaultPageSize, nil
	if err := entries.Allowed(scope.Organization, filter.Query()); err != nil { // before it is recorded that it was taken
		return err
	}

	own, streams, ended := "", false, func() {}
	if c.Method() != fiber.MethodHead {
		done, err := h.Exports.Take(ctx, scope.Organization.ID)
		if err != nil {
			return err
		}
		defer func() {
			if !streams {
				done()
			}
		}()
		ended = done
		h.noteReading(c, accesslog.KindExport, filter.Address(settingsPath(scope.Organization, "audit-logs")))
		if own, err = h.recordExport(ctx, scope.Organization, name, filter); err != nil {
			return err
		}
	}
	// Only now: a page that reports an error is not to be saved under the name of the file.
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Attachment(fmt.Sprintf("audit-logs-%s-%s.%s", scope.Organization.Slug, now.In(scope.Location).Format(time.DateOnly), format.extension))
	c.Set(fiber.HeaderContentType, format.contentType) // Attachment has guessed one
	if c.Method() == fiber.MethodHead {
		return nil
	}
	org, query, taken := scope.Organization, filter.Query(), models.MicrosOf(now)
	// What is recorded from now on is not part of the file. The bound keeps an export in rising
	// order of time from chasing a log that goes on growing; until it everything is looked at.
	if end := taken + models.Micros(event.MaxAhead.Microseconds()) + 1; query.To == 0 || query.To > end {
		query.To = end
	}
	streams = true
	entryStream{
		format: format,
		ended:  ended,
		file:   exportFile{h.logOf(c, org), scope.Location},
		read: func(ctx context.Context, fn func([]models.Entry) error) error {
			return h.inTurns(ctx, org, query, fn)
		},
		include: func(e models.Entry) bool { return e.RecordedAt <= taken && e.ID.String() != own },
		log:     h.Log.With("organization", org.Slug, "format", name, "user", scope.User.ID),
	}.send(c)
	return nil
}

// refuseForeign refuses a request that records something, although it only reads, where another site's page
// makes it, or a browser does by guess: what the log says somebody did, they did.
func refuseForeign(c *fiber.Ctx) error {
	switch c.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
	default:
		return fmt.Errorf("%w: the link is on another site", fiber.ErrForbidden)
	}
	if strings.Contains(c.Get("Sec-Purpose")+c.Get("Purpose"), "prefetch") {
		return fmt.Errorf("%w: nobody has asked yet", fiber.ErrForbidden)
	}
	return nil
}

// recordExport records that the file was taken, and returns the ID of the entry; "" where nothing
// was stored, because the organization is closed. That stops nobody from
// reading what there is.
func (h *Handlers) recordExport(ctx context.Context, org models.Organization, format string, filter Filter) (string, error) {
	var receipt audit.Receipt
	err := h.Store.Transaction(ctx, func(tx *gorm.DB) error {
		var err error
		receipt, err = audit.Record(ctx, tx, audit.Event{
			Organization: org.Slug,
			Action:       action.AuditLogExport,
			EntityID:     org.Slug,
			EntityName:   org.Name,
			Metadata:     map[string]string{"format": format, "filters": filter.String()},
		})
		return err
	})
	if errors.Is(err, audit.ErrOrganizationClosed) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("record an export of %q: %w", org.Slug, err)
	}
	return receipt.EntryID, nil
}
