package models

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
)

// BackfillEntries stores entries, all or none: where the outcome of one is neither Inserted nor LoggingOff,
// nothing is stored. Those with a Key are given a place behind all that are stored of their microsecond; the
// others keep their IDs. Keys are not remembered: the entries themselves say what has been stored. One that is
// there already is answered as Repeated, or with KeyReused where it tells of another event; one that its
// organization would not keep with Expired.
//
// On PostgreSQL it waits for other transactions that back-fill the same organization. Whatever the outcomes, tx
// stays usable.
func BackfillEntries(ctx context.Context, h Handle, entries []NewEntry) ([]InsertResult, error) {
	if h.err != nil {
		return nil, h.err
	}
	results := make([]InsertResult, len(entries))
	if h.dryRun {
		return dryResults(results), nil
	}
	now := MicrosOf(h.Now())
	err := h.inTransaction(ctx, func(run Statements) error {
		if err := h.dialect.beginWriting(ctx, run); err != nil {
			return err
		}
		b := &backfill{dialect: h.dialect, run: run, entries: entries, results: results, now: now}
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
	run     Statements
	entries []NewEntry
	results []InsertResult
	repeats []repeatedKey // within entries
	now     Micros
}

// compare settles entries that are not to be stored: they are there already, or are refused. The others get
// their places.
func (b *backfill) compare(ctx context.Context) (refused bool, err error) {
	states := map[OrganizationRef]organizationState{}
	byOrganization := map[int64][]int{}
	for i := range b.entries {
		entry, result := &b.entries[i], &b.results[i]
		state, asked := states[entry.Organization]
		if !asked {
			if state, err = stateOf(ctx, b.dialect, b.run, entry.Organization, b.now); err != nil {
				return false, err
			}
			states[entry.Organization] = state
		}
		*result = state.of(entry.Entry.OccurredAt, true)
		if result.Outcome == Inserted {
			byOrganization[state.ID] = append(byOrganization[state.ID], i)
		}
	}
	for _, orgID := range slices.Sorted(maps.Keys(byOrganization)) { // in one order, so that two wait for each other and nothing worse
		if err := b.dialect.lockHistory(ctx, b.run, orgID); err != nil {
			return false, err
		}
		if err := b.compareWithin(ctx, orgID, byOrganization[orgID]); err != nil {
			return false, err
		}
	}
	return slices.ContainsFunc(b.results, func(r InsertResult) bool { return r.Outcome != Inserted }), nil
}

// givenEvent identifies an event among those given: by its time and its key or, where it has none, by its ID.
type givenEvent struct {
	id   EntryID
	hash [sha256.Size]byte
}

func (b *backfill) compareWithin(ctx context.Context, orgID int64, indexes []int) error {
	given := make([]*Entry, len(indexes))
	for n, i := range indexes {
		given[n] = &b.entries[i].Entry
	}
	stored, err := storedBeside(ctx, b.dialect, b.run, orgID, given)
	if err != nil {
		return err
	}
	first := make(map[givenEvent]int, len(indexes))
	for _, i := range indexes {
		entry, result := &b.entries[i], &b.results[i]
		this := givenEvent{id: entry.Entry.ID}
		if entry.Key != nil {
			this = givenEvent{entry.Entry.ID.at(0), entry.Key.Hash}
		}
		n, again := first[this]
		earlier, another := stored.find(entry)
		switch {
		case another || again && !sameEvent(&b.entries[n].Entry, &entry.Entry):
			result.Outcome = KeyReused
		case earlier != nil:
			result.Repeated, result.ID = true, earlier.ID
		case again:
			result.Repeated, result.ID = true, b.results[n].ID
			b.repeats = append(b.repeats, repeatedKey{i, n})
		default:
			first[this] = i
			if entry.Key != nil {
				entry.Entry.ID = entry.Entry.ID.at(stored.nextPlace(entry.Entry.OccurredAt))
			}
			result.ID = entry.Entry.ID
		}
	}
	return nil
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
