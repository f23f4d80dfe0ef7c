package models

import (
	"context"
	"fmt"
	"slices"
	"strings"
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

// NewEntry is an entry that is to be stored.
type NewEntry struct {
	Organization OrganizationRef
	// Entry must be valid: its texts UTF-8 without NUL and within the sizes of the schema. Its OrgID
	// is not read. Its ID is fixed before the first attempt: storing it again changes nothing.
	Entry Entry
	// EvenWhenOff stores it although the organization's audit logging is off.
	EvenWhenOff bool
	// Key is the caller's own key of the event; nil where it has none. The Entry's ID has been made of it.
	Key *EventKey
}

// alone reports whether it can be stored by the statement for one.
func (e *NewEntry) alone() bool { return e.Key == nil && e.Entry.parts() == 0 }

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
	// KeyReused: the key stands for another event; nothing was stored.
	KeyReused
	// Expired: the organization would not keep it any more; nothing was stored.
	Expired
	// DryRun: the transaction is a dry run of GORM's. Nothing was asked of the database, nor stored.
	DryRun
)

func (o InsertOutcome) refused() bool { return o != Inserted && o != LoggingOff }

func anyRefused(results []InsertResult) bool {
	return slices.ContainsFunc(results, func(r InsertResult) bool { return r.Outcome.refused() })
}

// InsertResult is what became of an entry, and under which ID it is stored.
type InsertResult struct {
	Outcome InsertOutcome
	// ID is the entry's or, where Repeated, that of the first event with the same key.
	ID EntryID
	// Repeated: the key has been used for the same event before; Outcome is that of the first time
	// (Inserted or LoggingOff), and nothing was stored now.
	Repeated bool
	// KeptSince is, of an Expired one, the earliest moment of which its organization keeps entries.
	KeptSince Micros

	names entryNames // of an entry that was stored now, for NameCache.Add
}

// InsertEntry stores an entry.
//
// The organization, its switch, its retention and the entry are one statement, without a lock: what read "on" is
// stored. On SQLite an entity or the like that is new is another one, in the same transaction. An entry with a Key or
// with Parts, and any on Citus, is stored as several are. Whatever the outcome, no statement has failed and the
// transaction stays usable. An entry whose ID is stored already is left as it is. No other transaction is waited for,
// except by an entry with a Key, which waits for one that is storing the same key.
func InsertEntry(ctx context.Context, h Handle, entry NewEntry) (InsertResult, error) {
	if !entry.alone() {
		results, err := InsertEntries(ctx, h, []NewEntry{entry}, BatchOptions{})
		if err != nil {
			return InsertResult{}, err
		}
		return results[0], nil
	}
	if h.err != nil || h.dryRun {
		return InsertResult{Outcome: DryRun}, h.err
	}
	result, err := h.dialect.insertEntry(ctx, h, entry.Organization, newEntryRow(entry.Entry), entry.EvenWhenOff)
	if err != nil {
		return InsertResult{}, fmt.Errorf("insert entry %s: %w", entry.Entry.Action, err)
	}
	result.ID = entry.Entry.ID
	return result, nil
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
	e.Parts = e.parts()
	return entryRow{
		Entry:     e,
		Month:     MonthOf(e.OccurredAt),
		IDKey:     Fold(e.EntityID),
		NameKey:   Fold(e.EntityName),
		ActorText: actorText(e.ActorID, e.ActorKey, e.ActorEmail),
	}
}

// entityTexts, actorTexts and nativeTexts are what a namedRow holds.
func (r *entryRow) entityTexts() [6]string {
	return [6]string{r.EntityType, r.EntityID, r.IDKey, r.NameKey}
}

func (r *entryRow) actorTexts() [6]string {
	return [6]string{r.ActorID, r.ActorKey, r.ActorName, r.ActorEmail, r.ActorText, string(r.ActorType)}
}

func (r *entryRow) nativeTexts() [6]string {
	return [6]string{r.Action, r.NativeAction, Fold(r.NativeAction)}
}

// actorText is what search finds an actor by: its ID, folded name and e-mail.
func actorText(id, key, email string) string { return Fold(id) + "\n" + key + "\n" + Fold(email) }

// MonthOf counts the months of the calendar (UTC): year × 12 + month − 1. Rows of entities and
// actors carry it, so that a month of them goes once it has wholly expired.
func MonthOf(t Micros) int {
	moment := t.Time()
	return moment.Year()*12 + int(moment.Month()) - 1
}

// entryColumns are the columns of an entry in the order of its values, org_id and id aside.
const entryColumns = "occurred_at, recorded_at, action, entity_type, entity_id, entity_name, " +
	"actor_id, actor_key, actor_name, actor_email, source, ip, user_agent, request_id, api_key_id, api_key_name, url, metadata, origin, original"

// placeholders are those of a list of columns, each behind a comma.
func placeholders(columns string) string { return strings.Repeat(", ?", strings.Count(columns, ",")+1) }

// furtherColumns are those that few entries have anything in, in the order of appendEntryValues. A statement with them is
// for entries that do.
const furtherColumns = ", outcome, reason, native_action, actor_type, masked, parts"

// hasMore reports whether the statement that is for most entries would lose something of this one: what is in
// furtherColumns and in the tables beside it, or that nothing was affected.
func (e *Entry) hasMore() bool { return e.hasFurther() || e.Masked > 0 || e.EntityID == "" }

// appendEntryValues adds the values of entryColumns and, where there is more, of furtherColumns.
func appendEntryValues(values []any, e *Entry, more bool) []any {
	values = append(values, int64(e.OccurredAt), int64(e.RecordedAt), e.Action, e.EntityType, e.EntityID, e.EntityName,
		e.ActorID, e.ActorKey, e.ActorName, e.ActorEmail, e.Source, e.IP, e.UserAgent, e.RequestID,
		e.APIKeyID, e.APIKeyName, e.URL, e.Metadata, string(e.Origin), e.Original)
	if more {
		values = append(values, string(e.Outcome), e.Reason, e.NativeAction, string(e.ActorType), e.Masked, e.Parts)
	}
	return values
}

// entryKind is for which entries a statement is that stores one: by the column that names their organization, and
// whether they have more than most.
type entryKind struct {
	organization string
	more         bool
}

func kindOf(ref OrganizationRef, e *Entry) (kind entryKind, organization string) {
	column, organization := ref.column()
	return entryKind{column, e.hasMore()}, organization
}

func (k entryKind) columns() string {
	if k.more {
		return entryColumns + furtherColumns
	}
	return entryColumns
}

func ofEachKind(sql func(entryKind) string) map[entryKind]string {
	statements := map[entryKind]string{}
	for _, k := range []entryKind{{"slug", false}, {"slug", true}, {"external_id", false}, {"external_id", true}} {
		statements[k] = sql(k)
	}
	return statements
}

// organizationState is what decides whether an organization takes an entry.
type organizationState struct {
	ID             int64
	LoggingEnabled bool
	ClosedAt       Micros
	KeptSince      Micros
	Apart          bool // see apart of dialect
}

// statesOf are the states at a moment of the organizations of entries; their IDs are 0 where there are none.
func statesOf(ctx context.Context, d dialect, run Statements, entries []NewEntry, now Micros) (map[OrganizationRef]organizationState, error) {
	states, asked := map[OrganizationRef]organizationState{}, map[string][]string{} // by column
	for i := range entries {
		ref := entries[i].Organization
		if _, listed := states[ref]; !listed {
			states[ref] = organizationState{}
			column, value := ref.column()
			asked[column] = append(asked[column], value)
		}
	}
	found := map[[2]string]organizationState{} // by column and value
	for column, values := range asked {
		for values := range slices.Chunk(values, 1000) {
			among := d.textAmong(column, values)
			err := queryRows(ctx, run, func(rows Rows) error {
				var value string
				var state organizationState
				err := rows.Scan(&value, &state.ID, &state.LoggingEnabled, (*int64)(&state.ClosedAt), (*int64)(&state.KeptSince), &state.Apart)
				found[[2]string{column, value}] = state
				return err
			}, d.rebind("SELECT "+column+", id, logging_enabled, closed_at, "+keptSinceSQL(d, "moment.now")+", "+d.apart()+
				" FROM audit_organizations, (SELECT CAST(? AS bigint) AS now) AS moment WHERE "+among.sql), append([]any{int64(now)}, among.args...)...)
			if err != nil {
				return nil, fmt.Errorf("read organizations: %w", err)
			}
		}
	}
	for ref := range states {
		column, value := ref.column()
		states[ref] = found[[2]string{column, value}]
	}
	return states, nil
}

func stateOf(ctx context.Context, d dialect, run Statements, ref OrganizationRef, now Micros) (organizationState, error) {
	states, err := statesOf(ctx, d, run, []NewEntry{{Organization: ref}}, now)
	return states[ref], err
}

// of is what becomes of an entry of something that occurred then.
func (s organizationState) of(occurred Micros, evenWhenOff bool) InsertResult {
	outcome := s.outcome(occurred, evenWhenOff)
	if outcome == Expired {
		return InsertResult{Outcome: outcome, KeptSince: s.KeptSince}
	}
	return InsertResult{Outcome: outcome}
}

func (s organizationState) outcome(occurred Micros, evenWhenOff bool) InsertOutcome {
	switch {
	case s.ID == 0:
		return OrganizationUnknown
	case s.ClosedAt != 0:
		return OrganizationClosed
	case occurred < s.KeptSince:
		return Expired
	case s.LoggingEnabled || evenWhenOff:
		return Inserted
	default:
		return LoggingOff
	}
}
