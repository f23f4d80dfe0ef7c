package models

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"time"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/app/audit/event/fault"
)

type apiKeyKey struct{}

// WithAPIKey sets the key of the HTTP API with which the events of ctx were sent; it is stored beside their
// actor. They come from outside, see event.FromOutside.
func WithAPIKey(ctx context.Context, id, name string) context.Context {
	return event.FromOutside(context.WithValue(ctx, apiKeyKey{}, OriginalAPIKey{ID: id, Name: name}))
}

// NewEntryOf makes an entry of an event that event.Resolve has returned, recorded at the moment now, under a
// new ID and without a key.
func NewEntryOf(ctx context.Context, e event.Event, now time.Time) NewEntry {
	occurred := MicrosOf(e.OccurredAt)
	metadata, _ := e.Metadata.(json.RawMessage)
	key, _ := ctx.Value(apiKeyKey{}).(OriginalAPIKey)
	return NewEntry{
		Organization: OrganizationRef{Slug: e.Organization, ExternalID: e.ExternalID},
		Entry: Entry{
			ID:         newIDOf(e),
			OccurredAt: occurred,
			RecordedAt: MicrosOf(now),
			Action:     string(e.Action),
			EntityType: e.EntityType,
			EntityID:   e.EntityID,
			EntityName: e.EntityName,
			ActorID:    e.Actor.ID,
			ActorKey:   Fold(e.Actor.Name),
			ActorName:  e.Actor.Name,
			ActorEmail: e.Actor.Email,
			Source:     e.Actor.Source(),
			IP:         e.Request.IP,
			UserAgent:  e.Request.UserAgent,
			RequestID:  e.Request.ID,
			APIKeyID:   key.ID,
			APIKeyName: key.Name,
			URL:        e.URL,
			Metadata:   string(metadata),

			Outcome: e.Outcome, Reason: e.Reason, NativeAction: e.NativeAction, ActorType: storedActorType(e.Actor.Type), Masked: e.Masked(),
			Related: e.Related, OnBehalfOf: e.Actor.OnBehalfOf,
		},
		EvenWhenOff: storedWhenOff(ctx, e),
	}
}

func storedActorType(t event.ActorType) event.ActorType {
	if t == event.ActorSystem {
		return "" // as in entries from before there were types
	}
	return t
}

// PastEntryOf checks an event of the past and makes an entry of it, for BackfillEntries. It is marked as
// imported and comes from outside, whoever calls: nobody vouches for when it happened but the history itself.
func PastEntryOf(ctx context.Context, e event.Event, now time.Time) (NewEntry, error) {
	switch {
	case e.ID == "":
		return NewEntry{}, fault.Newf("id", fault.Required, "is required")
	case e.OccurredAt.IsZero():
		return NewEntry{}, fault.Newf("occurred_at", fault.Required, "is required")
	}
	ctx = event.FromOutside(ctx)
	resolved, err := event.Resolve(ctx, e, now)
	if err != nil {
		return NewEntry{}, err
	}
	entry := NewEntryOf(ctx, resolved, now)
	entry.Key = &EventKey{Hash: sha256.Sum256([]byte(e.ID))}
	entry.Entry.Origin = OriginImport
	return entry, nil
}

// storedWhenOff reports whether an event is kept while audit logging is off: what the web app records of
// itself, and that the organization is gone. Nothing that comes from outside, or that another system calls so.
func storedWhenOff(ctx context.Context, e event.Event) bool {
	return !event.IsFromOutside(ctx) && e.NativeAction == "" &&
		(e.Action.Own() || e.Action == action.OrganizationDelete || isAdministration(ctx))
}

// Receipt returns what the recorder of entry is told of its result: an error of package event where it was
// refused.
func (r InsertResult) Receipt(entry NewEntry) (event.Receipt, error) {
	organization := entry.Organization.Slug + entry.Organization.ExternalID
	switch r.Outcome {
	case Inserted:
		return event.Receipt{EntryID: r.ID.String(), Stored: true, Repeated: r.Repeated}, nil
	case LoggingOff:
		return event.Receipt{Repeated: r.Repeated}, nil
	case OrganizationUnknown:
		return event.Receipt{}, fault.Newf("organization", event.ErrNoOrganization, "%q does not exist", organization)
	case OrganizationClosed:
		return event.Receipt{}, fault.Newf("organization", event.ErrOrganizationClosed, "%q is closed and takes no more events", organization)
	case Expired:
		return event.Receipt{}, fault.Newf("occurred_at", event.ErrExpired, "is older than the organization keeps: %s is before %s",
			entry.Entry.OccurredAt.Time().Format(time.RFC3339), r.KeptSince.Time().Format(time.RFC3339))
	case DryRun:
		return event.Receipt{}, nil
	case KeyReused:
		return event.Receipt{}, fault.Newf("id", event.ErrIDReused, "was used for another event")
	default:
		return event.Receipt{}, errors.New("audit: unknown outcome")
	}
}

// Receipts returns the receipts of entries that were stored together, or an *event.EventsError that lists
// every one that was refused.
func Receipts(entries []NewEntry, results []InsertResult) ([]event.Receipt, error) {
	receipts := make([]event.Receipt, len(entries))
	var refused event.EventsError
	for i := range entries {
		var err error
		receipts[i], err = results[i].Receipt(entries[i])
		refused.Add(i, err)
	}
	if len(refused.Events) > 0 {
		return nil, &refused
	}
	return receipts, nil
}
