package models

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"gorm.io/gorm"
)

// BackfillEntries stores entries whose IDs are derived (see DerivedEntryID), all or none: where the
// outcome of one is neither Inserted nor LoggingOff, nothing is stored. Their keys are not
// remembered; the entries themselves say what has been stored. One that is there already is answered
// as Repeated, or with KeyReused where it tells of another event; one that its organization would
// not keep with Expired.
//
// Whatever the outcomes, tx stays usable.
func BackfillEntries(ctx context.Context, tx *gorm.DB, entries []NewEntry) ([]InsertResult, error) {
	d, err := dialectOf(tx)
	if err != nil {
		return nil, err
	}
	results := make([]InsertResult, len(entries))
	if dryRun, err := runsDry(tx); dryRun || err != nil {
		for i := range results {
			results[i].Outcome = DryRun
		}
		return results, err
	}
	now := MicrosOf(TransactionNow(tx))
	err = inTransaction(ctx, tx, func(run statements) error {
		if err := d.beginWriting(ctx, run); err != nil {
			return err
		}
		b := &backfill{dialect: d, run: run, entries: entries, results: results, now: now}
		refused, err := b.compare(ctx)
		if err != nil || refused {
			return err
		}
		return b.insert(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("back-fill %d entries: %w", len(entries), err)
	}
	return results, nil
}

type backfill struct {
	dialect dialect
	run     statements
	entries []NewEntry
	results []InsertResult
	repeats []repeatedKey // within entries
	now     Micros
}

// compare settles entries that are not to be stored: they are there already, or are refused.
func (b *backfill) compare(ctx context.Context) (refused bool, err error) {
	byOrganization := map[OrganizationRef][]int{}
	for i := range b.entries {
		ref := b.entries[i].Organization
		byOrganization[ref] = append(byOrganization[ref], i)
	}
	for ref, indexes := range byOrganization {
		org, err := b.organization(ctx, ref)
		if err != nil {
			return false, err
		}
		outcome := org.outcome(org.KeptSince, true)
		var stored map[EntryID]*Entry
		first := map[EntryID]int{}
		if outcome == Inserted {
			if stored, err = b.stored(ctx, org.ID, indexes); err != nil {
				return false, err
			}
		}
		for _, i := range indexes {
			result, entry := &b.results[i], &b.entries[i].Entry
			result.Outcome, result.ID = outcome, entry.ID
			earlier, known := stored[entry.ID]
			n, again := first[entry.ID]
			switch {
			case outcome != Inserted:
			case entry.OccurredAt < org.KeptSince:
				result.Outcome, result.KeptSince = Expired, org.KeptSince
			case known && !sameEvent(earlier, entry) || again && !sameEvent(&b.entries[n].Entry, entry):
				result.Outcome = KeyReused
			case known:
				result.Repeated = true
			case again:
				result.Repeated = true
				b.repeats = append(b.repeats, repeatedKey{i, n})
			default:
				first[entry.ID] = i
			}
			refused = refused || result.Outcome != Inserted
		}
	}
	return refused, nil
}

// organization has the ID 0 where there is none.
func (b *backfill) organization(ctx context.Context, ref OrganizationRef) (state organizationState, err error) {
	column, value := ref.column()
	err = queryRows(ctx, b.run, func(rows *sql.Rows) error { return rows.Scan(state.columns()...) },
		stateSQL(b.dialect, column, ""), int64(b.now), value)
	return state, err
}

// stored are those entries of an organization that are in the log already.
func (b *backfill) stored(ctx context.Context, orgID int64, indexes []int) (map[EntryID]*Entry, error) {
	const most = 500 // IDs a statement
	found := make(map[EntryID]*Entry, len(indexes))
	for chunk := range slices.Chunk(indexes, most) {
		ids := make([]EntryID, len(chunk))
		for n, i := range chunk {
			ids[n] = b.entries[i].Entry.ID
		}
		among := b.dialect.idAmong(ids)
		err := queryRows(ctx, b.run, func(rows *sql.Rows) error {
			var e Entry
			err := rows.Scan(&e.ID, &e.Action, &e.EntityType, &e.EntityID, &e.EntityName, &e.ActorID, &e.ActorName, &e.ActorEmail,
				&e.Source, &e.URL, &e.Metadata, &e.Outcome, &e.Reason, &e.NativeAction, &e.ActorType)
			found[e.ID] = &e
			return err
		}, b.dialect.rebind(`SELECT id, action, entity_type, entity_id, entity_name, actor_id, actor_name, actor_email, source, url, metadata,
				outcome, reason, native_action, actor_type
			FROM audit_entries WHERE org_id = ? AND `+among.sql), append([]any{orgID}, among.args...)...)
		if err != nil {
			return nil, err
		}
	}
	if err := readParts(ctx, b.dialect, b.run, orgID, found); err != nil {
		return nil, err
	}
	return found, nil
}

// sameEvent reports whether two entries with one ID, and so with one time, tell of the same event:
// where the request came from makes no difference.
func sameEvent(a, b *Entry) bool {
	return a.Action == b.Action && a.EntityType == b.EntityType && a.EntityID == b.EntityID && a.EntityName == b.EntityName &&
		a.ActorID == b.ActorID && a.ActorName == b.ActorName && a.ActorEmail == b.ActorEmail && a.Source == b.Source &&
		a.URL == b.URL && a.Metadata == b.Metadata && a.Further() == b.Further()
}

// insert stores the entries that are not there yet.
func (b *backfill) insert(ctx context.Context) error {
	batch := newEntryBatch(b.entries, b.results, BatchOptions{AllOrNothing: true}, b.now)
	if len(batch.entries) == 0 {
		return nil
	}
	states, err := b.dialect.insertBatch(ctx, b.run, batch)
	if err != nil {
		return err
	}
	for i := range batch.entries {
		e := &batch.entries[i]
		b.results[e.index].settle(states[e.organization], e)
	}
	for _, r := range b.repeats {
		b.results[r.index].Outcome, b.results[r.index].KeptSince = b.results[r.first].Outcome, b.results[r.first].KeptSince
	}
	return nil
}
