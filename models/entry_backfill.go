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
		states, err := statesOf(ctx, h.dialect, run, entries, now)
		if err != nil {
			return err
		}
		if err := lockHistories(ctx, h.dialect, run, states); err != nil {
			return err
		}
		if states, err = statesOf(ctx, h.dialect, run, entries, now); err != nil { // it may have waited long
			return err
		}
		b := &backfill{dialect: h.dialect, run: run, entries: entries, results: results}
		if refused, err := b.compare(ctx, states); err != nil || refused {
			return err
		}
		return h.dialect.insertBatch(ctx, run, newEntryBatch(entries, states, results, nil))
	})
	if err != nil {
		return nil, fmt.Errorf("back-fill %d entries: %w", len(entries), err)
	}
	return results, nil
}

// lockHistories locks the organizations in one order, so that two wait for each other and nothing worse.
func lockHistories(ctx context.Context, d dialect, run Statements, states map[OrganizationRef]organizationState) error {
	ids := map[int64]bool{}
	for _, state := range states {
		if state.ID != 0 {
			ids[state.ID] = true
		}
	}
	for _, orgID := range slices.Sorted(maps.Keys(ids)) {
		if err := d.lockHistory(ctx, run, orgID); err != nil {
			return err
		}
	}
	return nil
}

type backfill struct {
	dialect dialect
	run     Statements
	entries []NewEntry
	results []InsertResult
}

// compare settles entries that are not to be stored: they are there already, or are refused. The others get
// their places.
func (b *backfill) compare(ctx context.Context, states map[OrganizationRef]organizationState) (refused bool, err error) {
	byOrganization := map[int64][]int{}
	for i := range b.entries {
		entry := &b.entries[i]
		state := states[entry.Organization]
		b.results[i] = state.of(entry.Entry.OccurredAt, entry.EvenWhenOff)
		if !b.results[i].Outcome.refused() {
			byOrganization[state.ID] = append(byOrganization[state.ID], i)
		}
	}
	for orgID, indexes := range byOrganization {
		if err := b.compareWithin(ctx, orgID, indexes); err != nil {
			return false, err
		}
	}
	return anyRefused(b.results), nil
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
			*result = InsertResult{Repeated: true, ID: earlier.ID}
		case again:
			*result = b.results[n]
			result.Repeated = true
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
