package handlers

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"
	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
	"github.com/auditlogs/auditlogs/views"
)

// RecordEvents records the events of a request, all of them or none, in the organization of the key.
func (h *Handlers) RecordEvents(c *fiber.Ctx) error { return h.refused(ByAPI, h.recordEvents(c)) }

func (h *Handlers) recordEvents(c *fiber.Ctx) error {
	if err := onlyParameters(c); err != nil {
		return err
	}
	lines, err := readsLines(c)
	if err != nil {
		return err
	}
	request := eventsRequest{caller: callerOf(c), key: c.Get(idempotencyHeader), lines: lines}
	if err := request.checkKey(); err != nil {
		return err
	}
	if request.content, err = h.readEvents(c, request.caller); err != nil {
		return err
	}
	masking := request.caller.key.Masking
	ctx := event.WithMasking(contextOf(c), masking.MaskKeys.Names(), masking.KeepKeys.Names())
	body := decodeEvents(request.content, lines)
	if body.broken != "" || len(body.refused) > 0 {
		return refuseAll(ctx, request.caller.org, body, nil, h.Store.Now())
	}
	answer, repeated, err := h.recordOnce(ctx, request, body.events)
	if err != nil {
		return err
	}
	h.recorded(ByAPI, answer.stored)
	if repeated {
		c.Set("Idempotent-Replayed", "true")
	}
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Status(answer.Status).SendString(answer.Body)
}

// eventsRequest is a request with events.
type eventsRequest struct {
	caller  apiCaller
	key     string // its Idempotency-Key; may be empty
	content []byte // the body as it came
	lines   bool   // the body is NDJSON
}

const (
	idempotencyHeader = "Idempotency-Key"
	// answersKeptFor is how long a request with an Idempotency-Key is answered as the first time.
	answersKeptFor    = 24 * time.Hour
	maxIdempotencyKey = 200
)

func (r *eventsRequest) checkKey() error {
	for _, char := range []byte(r.key) {
		if char < ' ' || char > '~' {
			return badParameter(idempotencyHeader, fault.Malformed, "must be printable ASCII")
		}
	}
	if len(r.key) > maxIdempotencyKey {
		return badParameter(idempotencyHeader, fault.TooLarge, "is longer than %d bytes", maxIdempotencyKey)
	}
	return nil
}

// idempotencyKey is what the request is remembered by. Keys of two API keys never meet.
func (r *eventsRequest) idempotencyKey() accounts.IdempotencyKey {
	content := sha256.New()
	fmt.Fprintln(content, r.lines)
	content.Write(r.content)
	return accounts.IdempotencyKey{
		OrgID:       r.caller.org.ID,
		Hash:        sha256.Sum256([]byte(r.caller.key.ID + "\x00" + r.key)),
		Fingerprint: [sha256.Size]byte(content.Sum(nil)),
	}
}

// recordedAnswer is the answer to events, of which so many are new and stored.
type recordedAnswer struct {
	accounts.Answer
	stored int
}

// recordOnce records the events of a request, or responds as it did when the request came before.
func (h *Handlers) recordOnce(ctx context.Context, request eventsRequest, events []audit.Event) (answer recordedAnswer, repeated bool, err error) {
	err = h.Store.Transaction(ctx, func(tx *gorm.DB) error {
		if request.key == "" {
			answer, err = h.record(ctx, tx, request.caller, events)
			return err
		}
		key := request.idempotencyKey()
		earlier, err := accounts.ClaimIdempotencyKey(ctx, tx, key, answersKeptFor)
		if err != nil {
			return err
		}
		if repeated = earlier != nil; repeated {
			answer = recordedAnswer{Answer: *earlier}
			return nil
		}
		if answer, err = h.record(ctx, tx, request.caller, events); err != nil {
			return err
		}
		return accounts.KeepAnswer(ctx, tx, key, answer.Answer)
	})
	return answer, repeated, err
}

// receiptJSON is audit.Receipt as the API answers it.
type receiptJSON struct {
	EntryID  *string `json:"entry_id"` // null where nothing was stored
	Stored   bool    `json:"stored"`
	Repeated bool    `json:"repeated"`
}

// record records events in tx, with the key beside them. Where they came from is what they say, or
// unknown: the program that sends them is no answer.
func (h *Handlers) record(ctx context.Context, tx *gorm.DB, caller apiCaller, events []audit.Event) (recordedAnswer, error) {
	now := models.TransactionNow(tx)
	if refused := settle(caller.org, events); len(refused) > 0 {
		return recordedAnswer{}, refuseAll(ctx, caller.org, eventsBody{events: events}, refused, now)
	}
	ctx = models.WithAPIKey(audit.WithRequest(ctx, audit.Request{}), caller.key.ID, caller.key.Name)
	receipts, err := audit.RecordAll(ctx, tx, events)
	var refused *audit.EventsError
	if errors.As(err, &refused) {
		for i, e := range refused.Events {
			if errors.Is(e.Err, audit.ErrExpired) {
				refused.Events[i] = expired(caller.org, e.Index, now)
			}
		}
		return recordedAnswer{}, refuseAll(ctx, caller.org, eventsBody{events: events}, refused.Events, now)
	}
	if err != nil {
		return recordedAnswer{}, err
	}
	answer := struct {
		Events []receiptJSON `json:"events"`
	}{make([]receiptJSON, len(receipts))}
	status, stored := fiber.StatusOK, 0
	for i, receipt := range receipts {
		if receipt.Stored {
			answer.Events[i].EntryID = &receipt.EntryID
		}
		answer.Events[i].Stored, answer.Events[i].Repeated = receipt.Stored, receipt.Repeated
		if receipt.Stored && !receipt.Repeated {
			status = fiber.StatusCreated
			stored++
		}
	}
	body, err := json.Marshal(answer)
	return recordedAnswer{accounts.Answer{Status: status, Body: string(body) + "\n"}, stored}, err
}

// settle puts events into org, and returns those that belong to another.
func settle(org models.Organization, events []audit.Event) (refused []audit.EventError) {
	for i := range events {
		e := &events[i]
		switch {
		case e.Organization != "" && e.Organization != org.Slug:
			refused = append(refused, eventError(i, "organization", fault.UnknownOrganization, "is not the organization the key belongs to; leave it out"))
		case e.ExternalID != "" && (org.ExternalID == nil || e.ExternalID != *org.ExternalID):
			refused = append(refused, eventError(i, "external_id", fault.UnknownOrganization, "is not the organization the key belongs to; leave it out"))
		}
		e.Organization, e.ExternalID = org.Slug, ""
	}
	return refused
}

// expired is the refusal of an event that is too old for org.
func expired(org models.Organization, index int, now time.Time) audit.EventError {
	return eventError(index, "occurred_at", fault.Expired, "is before %s; the organization keeps entries for %s",
		org.KeptSince(now).Time().Format(time.RFC3339), views.Count(org.RetentionDays, "day", "days"))
}

func eventError(index int, field string, code fault.Code, reason string, args ...any) audit.EventError {
	return audit.EventError{Index: index, Err: fault.Newf(field, code, reason, args...)}
}

// refuseAll is the refusal of a body of which some events are known to be refused, with whatever else is wrong
// with any of them.
func refuseAll(ctx context.Context, org models.Organization, body eventsBody, known []audit.EventError, now time.Time) error {
	faults := make([]fault.Fields, len(body.events))
	add := func(index int, err error) {
		for _, f := range fault.All(err) {
			if !slices.ContainsFunc(faults[index], func(of *fault.Field) bool { return of.Field == f.Field && of.Code == f.Code }) {
				faults[index] = append(faults[index], f)
			}
		}
	}
	unread := map[int]bool{}
	for _, e := range body.refused {
		add(e.Index, e.Err)
		unread[e.Index] = true
	}
	for _, e := range slices.Concat(known, settle(org, body.events)) {
		if len(fault.All(e)) == 0 {
			return e
		}
		add(e.Index, e)
	}
	for i, e := range body.events {
		if unread[i] {
			continue
		}
		if !e.OccurredAt.IsZero() && models.MicrosOf(e.OccurredAt) < org.KeptSince(now) {
			add(i, expired(org, i, now))
		}
		_, err := event.Resolve(event.FromOutside(ctx), e, now)
		add(i, err)
	}
	return refusal(faults, body.broken)
}
