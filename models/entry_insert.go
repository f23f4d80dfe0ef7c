package models

import (
	"context"
	"fmt"

	"gorm.io/gorm"
)

// OrganizationRef names an organization by the application's own ID for it or, where ExternalID is
// empty, by its slug.
type OrganizationRef struct {
	Slug       string
	ExternalID string
}

func (r OrganizationRef) column() (name, value string) {
	if r.ExternalID != "" {
		return "external_id", r.ExternalID
	}
	return "slug", r.Slug
}

// InsertOutcome is what became of an entry.
type InsertOutcome int

const (
	// Inserted: the entry is in the log once the transaction commits (or was already, under its ID).
	Inserted InsertOutcome = iota
	// LoggingOff: the organization does not log at present; nothing was stored.
	LoggingOff
	// OrganizationUnknown: there is no such organization; nothing was stored.
	OrganizationUnknown
	// OrganizationClosed: the organization was deleted; nothing was stored.
	OrganizationClosed
)

// InsertEntry stores e in tx, in the organization ref names; e.OrgID is not read. The entry must
// be valid: its texts UTF-8 without NUL and within the sizes of the schema. With evenWhenOff it is
// stored although the organization's audit logging is off.
//
// The organization, its switch and the entry are one statement, without a lock: what read "on" is
// stored. Whatever the outcome, no statement has failed and tx stays usable. An entry whose ID is
// stored already is left as it is.
func InsertEntry(ctx context.Context, tx *gorm.DB, ref OrganizationRef, e Entry, evenWhenOff bool) (InsertOutcome, error) {
	d, err := dialectOf(tx)
	if err != nil {
		return 0, err
	}
	outcome, err := d.insertEntry(tx.WithContext(ctx), ref, newEntryRow(e), evenWhenOff)
	if err != nil {
		return 0, fmt.Errorf("insert entry %s: %w", e.Action, err)
	}
	return outcome, nil
}

// entryRow is an entry with what is derived from it: what search and the User filter look through.
type entryRow struct {
	Entry
	Month     int
	IDKey     string // entity ID folded
	NameKey   string // entity name folded
	ActorText string // the actor's ID, name and e-mail folded, one a line
}

func newEntryRow(e Entry) entryRow {
	return entryRow{
		Entry:     e,
		Month:     MonthOf(e.OccurredAt),
		IDKey:     Fold(e.EntityID),
		NameKey:   Fold(e.EntityName),
		ActorText: Fold(e.ActorID) + "\n" + e.ActorKey + "\n" + Fold(e.ActorEmail),
	}
}

// MonthOf counts the months of the calendar (UTC): year × 12 + month − 1. Rows of entities and
// actors carry it, so that a month of them goes once it has wholly expired.
func MonthOf(t Micros) int {
	moment := t.Time()
	return moment.Year()*12 + int(moment.Month()) - 1
}

// entryColumns are the columns of an entry in the order of entryValues, org_id aside.
const entryColumns = "id, occurred_at, recorded_at, action, entity_type, entity_id, entity_name, " +
	"actor_id, actor_key, actor_name, actor_email, source, ip, user_agent, request_id, url, metadata"

func entryValues(e Entry) []any {
	return []any{e.ID, e.OccurredAt, e.RecordedAt, e.Action, e.EntityType, e.EntityID, e.EntityName,
		e.ActorID, e.ActorKey, e.ActorName, e.ActorEmail, e.Source, e.IP, e.UserAgent, e.RequestID, e.URL, e.Metadata}
}

// inTransaction runs fn in tx's own transaction, or in a new one where tx is a plain pool.
func inTransaction(tx *gorm.DB, fn func(tx *gorm.DB) error) error {
	if _, already := tx.Statement.ConnPool.(gorm.TxCommitter); already {
		return fn(tx)
	}
	return tx.Transaction(fn)
}

// organizationState is what decides whether an organization takes an entry.
type organizationState struct {
	ID             int64
	LoggingEnabled bool
	ClosedAt       Micros
}

func (s organizationState) outcome(evenWhenOff bool) InsertOutcome {
	switch {
	case s.ID == 0:
		return OrganizationUnknown
	case s.ClosedAt != 0:
		return OrganizationClosed
	case s.LoggingEnabled || evenWhenOff:
		return Inserted
	default:
		return LoggingOff
	}
}
