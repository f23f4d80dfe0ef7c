package models

import (
	"context"
	"fmt"
)

// BatchOptions are how InsertEntries works. The zero value is fine.
type BatchOptions struct {
	// AllOrNothing stores nothing where one entry's outcome is neither Inserted nor LoggingOff (nor
	// DryRun).
	AllOrNothing bool
	// Names spares looking for entities and actors that committed batches have written; see there.
	Names *NameCache
}

// InsertEntries stores entries, each as InsertEntry would, in a few statements however many they are, and
// returns what became of each. Where the handle is no transaction they are one.
//
// Entries with a Key wait for a transaction that is storing the same key.
func InsertEntries(ctx context.Context, h Handle, entries []NewEntry, options BatchOptions) ([]InsertResult, error) {
	if h.err != nil {
		return nil, h.err
	}
	results := make([]InsertResult, len(entries))
	if len(entries) == 0 {
		return results, nil
	}
	if h.dryRun {
		return dryResults(results), nil
	}
	d, now := h.dialect, h.Now()
	err := h.inTransaction(ctx, func(run Statements) error {
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

func dryResults(results []InsertResult) []InsertResult {
	for i := range results {
		results[i].Outcome = DryRun
	}
	return results
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
	entities      []namedRow // those that may be new, and so
	actors        []namedRow
	natives       []namedRow // native actions
	more          bool       // one of the entries has more than most, see Entry.hasMore
}

// namedRow is an entity, an actor or a native action that an entry names, on its way into its table.
type namedRow struct {
	entry int       // in entryBatch.entries, whose organization and month it has
	texts [6]string // the columns behind the month, in their order
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
		batch.nameAll(n, seen, options.Names)
	}
	return batch
}

// nameAll notes what the entry n names.
func (b *entryBatch) nameAll(n int, seen map[namedKey]int, known *NameCache) {
	e := &b.entries[n]
	o := b.organizations[e.organization]
	entity := func(texts [6]string) nameKey {
		key := keyOf("entity", o, e.Month, texts[0], texts[1], texts[3])
		b.entities = b.name(b.entities, seen, n, key, texts, known)
		return key
	}
	actor := func(texts [6]string) nameKey {
		key := keyOf("actor", o, e.Month, texts[0], texts[2], texts[3], texts[5])
		b.actors = b.name(b.actors, seen, n, key, texts, known)
		return key
	}
	if e.EntityID != "" {
		e.names.entity = entity(e.entityTexts())
	}
	e.names.actor = actor(e.actorTexts())
	if !e.hasMore() {
		return
	}
	b.more = true
	for _, r := range e.Related {
		entity([6]string{r.Type, r.ID, Fold(r.ID), Fold(r.Name)})
	}
	if p := e.OnBehalfOf; p != nil {
		key := Fold(p.Name)
		actor([6]string{p.ID, key, p.Name, p.Email, actorText(p.ID, key, p.Email), string(storedActorType(p.Type))})
	}
	if e.NativeAction != "" {
		key := keyOf("native", o, e.Month, e.Action, e.NativeAction)
		b.natives = b.name(b.natives, seen, n, key, [6]string{e.Action, e.NativeAction, Fold(e.NativeAction)}, known)
	}
}

// namedKey is what entries of the batch name, of those that are stored although logging is
// off or of the others: neither speaks for the other.
type namedKey struct {
	nameKey
	evenWhenOff bool
}

// name lets the entry n name an entity, actor or native action, in place of one that occurred before: where that
// has expired the later one may not have. seen is where in named each is.
func (b *entryBatch) name(named []namedRow, seen map[namedKey]int, n int, key nameKey, texts [6]string, known *NameCache) []namedRow {
	id := namedKey{key, b.entries[n].evenWhenOff}
	if at, again := seen[id]; again {
		if b.entries[n].OccurredAt > b.entries[named[at].entry].OccurredAt {
			named[at].entry = n
		}
		return named
	}
	if known.has(key) {
		return named
	}
	seen[id] = len(named)
	return append(named, namedRow{n, texts})
}
