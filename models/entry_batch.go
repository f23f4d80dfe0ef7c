package models

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// BatchOptions are how InsertEntries works. The zero value is fine.
type BatchOptions struct {
	// AllOrNothing stores nothing where one entry's outcome is neither Inserted nor LoggingOff (nor
	// DryRun).
	AllOrNothing bool
	// Names spares looking for entities and actors that committed batches have written; see there.
	Names *NameCache
}

// InsertEntries stores entries, each as InsertEntry would, in a few statements however many they are (on Citus one for
// each organization), and returns what became of each. Where the handle is no transaction they are one. The states of
// their organizations are read before they are stored, and again where a key may have been waited for.
//
// Entries with a Key wait for a transaction that is storing the same key.
func InsertEntries(ctx context.Context, h Handle, entries []NewEntry, options BatchOptions) ([]InsertResult, error) {
	if h.err != nil {
		return nil, h.err
	}
	if len(entries) == 1 && entries[0].alone() && h.InTransaction() {
		result, err := InsertEntry(ctx, h, entries[0])
		return []InsertResult{result}, err
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
		states, err := statesOf(ctx, d, run, entries, MicrosOf(now))
		if err != nil {
			return err
		}
		for {
			for i := range entries {
				e := &entries[i]
				results[i] = states[e.Organization].of(e.Entry.OccurredAt, e.EvenWhenOff)
				results[i].ID = e.Entry.ID
			}
			claimed, err := claimKeys(ctx, d, run, entries, states, results, now)
			if err != nil {
				return err
			}
			since := states
			if len(claimed) > 0 { // that may have waited long
				if since, err = statesOf(ctx, d, run, entries, MicrosOf(now)); err != nil {
					return err
				}
			}
			refused := options.AllOrNothing && anyRefused(results)
			if !refused && maps.Equal(states, since) {
				return d.insertBatch(ctx, run, newEntryBatch(entries, states, results, options.Names))
			}
			if err := releaseKeys(ctx, d, run, claimed); err != nil || refused {
				return err
			}
			states = since
		}
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

// entryBatch is entries on their way into the database, with every entity, actor and native action that may be new
// named once.
type entryBatch struct {
	entries  []entryRow // with their OrgID
	entities []namedRow
	actors   []namedRow
	natives  []namedRow
	more     bool // one of the entries has more than most, see Entry.hasMore
	parts    bool // one of them has Parts
	apart    bool // see apart of dialect
}

// namedRow is an entity, an actor or a native action that an entry names, on its way into its table.
type namedRow struct {
	orgID int64
	month int
	texts [6]string // the columns behind the month, in their order
}

// newEntryBatch takes those of entries that are to be stored, as results say, and notes there what they name.
func newEntryBatch(entries []NewEntry, states map[OrganizationRef]organizationState, results []InsertResult, known *NameCache) *entryBatch {
	batch := &entryBatch{entries: make([]entryRow, 0, len(entries))}
	seen := make(map[nameKey]bool, len(entries))
	for i := range entries {
		if results[i].Outcome != Inserted || results[i].Repeated {
			continue
		}
		results[i].names = batch.add(newEntryRow(entries[i].Entry), states[entries[i].Organization], seen, known)
	}
	return batch
}

func (b *entryBatch) add(row entryRow, state organizationState, seen map[nameKey]bool, known *NameCache) entryNames {
	row.OrgID = state.ID
	b.entries = append(b.entries, row)
	b.apart = state.Apart
	b.more = b.more || row.hasMore()
	b.parts = b.parts || row.Parts > 0
	return b.nameAll(&row, seen, known)
}

// organizations are those that it has entries of.
func (b *entryBatch) organizations() (ids []int64) {
	listed := map[int64]bool{}
	for i := range b.entries {
		if id := b.entries[i].OrgID; !listed[id] {
			listed[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// of is what it has of an organization.
func (b *entryBatch) of(orgID int64) *entryBatch {
	named := func(rows []namedRow) []namedRow {
		return slices.DeleteFunc(slices.Clone(rows), func(r namedRow) bool { return r.orgID != orgID })
	}
	entries := slices.DeleteFunc(slices.Clone(b.entries), func(e entryRow) bool { return e.OrgID != orgID })
	return &entryBatch{entries, named(b.entities), named(b.actors), named(b.natives), b.more, b.parts, b.apart}
}

// nameAll notes what an entry names, as far as it may be new.
func (b *entryBatch) nameAll(e *entryRow, seen map[nameKey]bool, known *NameCache) (names entryNames) {
	name := func(rows *[]namedRow, key nameKey, texts [6]string) nameKey {
		if !seen[key] && !known.has(key) {
			seen[key] = true
			*rows = append(*rows, namedRow{e.OrgID, e.Month, texts})
		}
		return key
	}
	entity := func(texts [6]string) nameKey {
		return name(&b.entities, keyOf("entity", e.OrgID, e.Month, texts[0], texts[1], texts[3]), texts)
	}
	actor := func(texts [6]string) nameKey {
		return name(&b.actors, keyOf("actor", e.OrgID, e.Month, texts[0], texts[2], texts[3], texts[5]), texts)
	}
	if e.EntityID != "" {
		names.entity = entity(e.entityTexts())
	}
	names.actor = actor(e.actorTexts())
	if !e.hasMore() {
		return names
	}
	for _, r := range e.Related {
		entity([6]string{r.Type, r.ID, Fold(r.ID), Fold(r.Name)})
	}
	if p := e.OnBehalfOf; p != nil {
		key := Fold(p.Name)
		actor([6]string{p.ID, key, p.Name, p.Email, actorText(p.ID, key, p.Email), string(storedActorType(p.Type))})
	}
	if e.NativeAction != "" {
		name(&b.natives, keyOf("native", e.OrgID, e.Month, e.Action, e.NativeAction), e.nativeTexts())
	}
	return names
}
