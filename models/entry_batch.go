package models

import (
	"context"
	"fmt"

	"gorm.io/gorm"
)

// BatchOptions are how InsertEntries works. The zero value is fine.
type BatchOptions struct {
	// AllOrNothing stores nothing where one entry's outcome is neither Inserted nor LoggingOff (nor
	// DryRun).
	AllOrNothing bool
	// Names spares looking for entities and actors that committed batches have written; see there.
	Names *NameCache
}

// InsertEntries stores entries in tx, each as InsertEntry would, in a few statements however many
// they are, and returns what became of each. tx may be a plain pool: then they are one transaction.
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
	if dryRun, err := runsDry(tx); dryRun || err != nil {
		for i := range results {
			results[i].Outcome = DryRun
		}
		return results, err
	}
	now := TransactionNow(tx)
	err = inTransaction(ctx, tx, func(run statements) error {
		if err := d.beginWriting(ctx, run); err != nil {
			return err
		}
		claim, err := claimKeys(ctx, d, run, entries, results, now)
		if err != nil {
			return err
		}
		batch := newEntryBatch(entries, results, options, MicrosOf(now))
		batch.refused = options.AllOrNothing && claim.reused
		states, err := d.insertBatch(ctx, run, batch)
		if err != nil {
			return err
		}
		refused := batch.refused
		for i := range batch.entries {
			e := &batch.entries[i]
			result := &results[e.index]
			result.settle(states[e.organization], e)
			refused = refused || result.Outcome != Inserted && result.Outcome != LoggingOff
		}
		claim.repeat(results)
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
	refused       bool   // all of it: nothing is stored, and only the organizations' states are asked for
	now           Micros // the moment by which entries have expired or not
	organizations []OrganizationRef
	oldest        []Micros // by organization: when the first of its entries occurred
	entries       []batchEntry
	entities      []int // which of entries name an entity that may be new
	actors        []int // which of entries name an actor that may be new
}

// settle notes what became of an entry whose organization is in that state.
func (r *InsertResult) settle(state organizationState, e *batchEntry) {
	of := state.of(e.OccurredAt, e.evenWhenOff)
	r.Outcome, r.KeptSince = of.Outcome, of.KeptSince
}

type batchEntry struct {
	entryRow
	index        int // in what InsertEntries was given
	organization int // in entryBatch.organizations
	evenWhenOff  bool
	names        entryNames
}

// newEntryBatch takes those of entries that are to be inserted: the others have been, as results
// say. It notes the entries' IDs in results.
func newEntryBatch(entries []NewEntry, results []InsertResult, options BatchOptions, now Micros) *entryBatch {
	batch := &entryBatch{allOrNothing: options.AllOrNothing, now: now, entries: make([]batchEntry, 0, len(entries))}
	organizations := map[OrganizationRef]int{}
	seen := make(map[namedKey]int, len(entries))
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
			batch.oldest = append(batch.oldest, e.Entry.OccurredAt)
		}
		batch.oldest[organization] = min(batch.oldest[organization], e.Entry.OccurredAt)
		n := len(batch.entries)
		batch.entries = append(batch.entries, batchEntry{newEntryRow(e.Entry), i, organization, e.EvenWhenOff, entryNames{}})
		row := &batch.entries[n]
		entity, actor := entityNameKey(e.Organization, &row.entryRow), actorNameKey(e.Organization, &row.entryRow)
		row.names = entryNames{entity, actor}
		batch.entities = batch.name(batch.entities, seen, n, entity, options.Names)
		batch.actors = batch.name(batch.actors, seen, n, actor, options.Names)
	}
	return batch
}

// namedKey is an entity or an actor in the batch, of those entries that are stored although logging is
// off or of the others: neither speaks for the other.
type namedKey struct {
	nameKey
	evenWhenOff bool
}

// name lets the entry n name an entity or actor, in place of one that occurred before: where that has
// expired the later one may not have. seen is where in named each is.
func (b *entryBatch) name(named []int, seen map[namedKey]int, n int, key nameKey, known *NameCache) []int {
	id := namedKey{key, b.entries[n].evenWhenOff}
	if at, again := seen[id]; again {
		if b.entries[n].OccurredAt > b.entries[named[at]].OccurredAt {
			named[at] = n
		}
		return named
	}
	if known.has(key) {
		return named
	}
	seen[id] = len(named)
	return append(named, n)
}
