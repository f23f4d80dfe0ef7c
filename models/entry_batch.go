package models

import (
	"context"
	"fmt"

	"gorm.io/gorm"
)

// BatchOptions say how InsertEntries works. The zero value is fine.
type BatchOptions struct {
	// AllOrNothing stores nothing where one entry's outcome is neither Inserted nor LoggingOff.
	AllOrNothing bool
	// Known spares looking for entities and actors that committed batches have written; see there.
	Known *Known
}

// InsertEntries stores entries in tx, each as InsertEntry would, in a few statements however many
// they are, and answers what became of each. tx may be a plain pool: then they are one transaction.
//
// Entries with a Key wait for a transaction that is storing the same key.
func InsertEntries(ctx context.Context, tx *gorm.DB, entries []NewEntry, options BatchOptions) ([]InsertResult, error) {
	d, err := dialectOf(tx)
	if err != nil {
		return nil, err
	}
	results := make([]InsertResult, len(entries))
	if len(entries) == 0 {
		return results, nil
	}
	err = inTransaction(ctx, tx, func(run statements) error {
		if err := d.beginWriting(ctx, run); err != nil {
			return err
		}
		claim, err := claimKeys(ctx, d, run, entries, results, TransactionNow(tx))
		if err != nil {
			return err
		}
		batch := newEntryBatch(entries, results, options)
		batch.refused = options.AllOrNothing && claim.reused
		states, err := d.insertBatch(ctx, run, batch)
		if err != nil {
			return err
		}
		refused := batch.refused
		for i := range batch.entries {
			e := &batch.entries[i]
			outcome := states[e.organization].outcome(e.evenWhenOff)
			results[e.index].Outcome = outcome
			refused = refused || outcome != Inserted && outcome != LoggingOff
		}
		if options.AllOrNothing && refused {
			// What could have been inserted was not, and its key is free again.
			return claim.release(ctx, d, run)
		}
		for i := range batch.entries {
			e := &batch.entries[i]
			results[e.index].names = e.names
		}
		return claim.settle(ctx, d, run, results)
	})
	if err != nil {
		return nil, fmt.Errorf("insert %d entries: %w", len(entries), err)
	}
	return results, nil
}

// entryBatch is entries on their way into the database, with every organization, entity and actor
// named once.
type entryBatch struct {
	allOrNothing  bool
	refused       bool // all of it: nothing is stored, and only the organizations' states are asked for
	organizations []OrganizationRef
	entries       []batchEntry
	entities      []int // which of entries name an entity that may be new
	actors        []int // which of entries name an actor that may be new
}

type batchEntry struct {
	entryRow
	index        int // in what InsertEntries was given
	organization int // in entryBatch.organizations
	evenWhenOff  bool
	names        knownNames
}

// newEntryBatch takes those of entries that are to be inserted: the others have been, as results
// say. It notes the entries' IDs in results.
func newEntryBatch(entries []NewEntry, results []InsertResult, options BatchOptions) *entryBatch {
	batch := &entryBatch{allOrNothing: options.AllOrNothing, entries: make([]batchEntry, 0, len(entries))}
	organizations := map[OrganizationRef]int{}
	seen := make(map[knownKey]bool, len(entries))
	for i := range entries {
		e := &entries[i]
		if results[i].Repeated || results[i].Outcome == KeyReused {
			continue
		}
		results[i].ID = e.Entry.ID
		organization, listed := organizations[e.Organization]
		if !listed {
			organization = len(batch.organizations)
			organizations[e.Organization] = organization
			batch.organizations = append(batch.organizations, e.Organization)
		}
		n := len(batch.entries)
		batch.entries = append(batch.entries, batchEntry{newEntryRow(e.Entry), i, organization, e.EvenWhenOff, knownNames{}})
		row := &batch.entries[n]
		entity, actor := knownEntity(e.Organization, &row.entryRow), knownActor(e.Organization, &row.entryRow)
		row.names = knownNames{entity, actor}
		if !seen[entity] && !options.Known.has(entity) {
			batch.entities = append(batch.entities, n)
			seen[entity] = !e.EvenWhenOff // one that is stored although logging is off speaks for no other
		}
		if !seen[actor] && !options.Known.has(actor) {
			batch.actors = append(batch.actors, n)
			seen[actor] = !e.EvenWhenOff
		}
	}
	return batch
}
