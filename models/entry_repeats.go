package models

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// storedEntries are those that an organization has stored of some microseconds.
type storedEntries struct {
	places map[Micros]uint32         // the next one of each microsecond of which there are any
	marked map[markedMoment][]*Entry // those with the mark of one that was asked for
}

// markedMoment is what the IDs of an event's entry have in common, in every version.
type markedMoment struct {
	at   Micros
	mark entryMark
}

// storedBeside reads what is stored of the microseconds of entries.
func storedBeside(ctx context.Context, d dialect, run Statements, orgID int64, entries []*Entry) (storedEntries, error) {
	stored := storedEntries{map[Micros]uint32{}, map[markedMoment][]*Entry{}}
	const most = 1000 // of a statement
	for entries := range slices.Chunk(entries, most) {
		moments := momentsOf(d, entries)
		err := queryRows(ctx, run, func(rows Rows) error {
			var last EntryID
			err := rows.Scan(&last)
			if !last.IsZero() {
				stored.places[last.occurred()] = min(last.place()+1, lastPlace)
			}
			return err
		}, d.rebind(`SELECT (SELECT id FROM audit_entries WHERE org_id = ? AND id >= moment.first AND id < moment.next ORDER BY id DESC LIMIT 1)
			FROM `+moments.sql), append([]any{orgID}, moments.args...)...)
		if err != nil {
			return stored, fmt.Errorf("read places of entries: %w", err)
		}
	}
	entries = slices.DeleteFunc(slices.Clone(entries), func(e *Entry) bool { return stored.places[e.OccurredAt] == 0 })
	found := map[EntryID]*Entry{}
	for entries := range slices.Chunk(entries, most) {
		moments, marks := momentsOf(d, entries), d.markAmong(entries)
		err := queryRows(ctx, run, func(rows Rows) error {
			var e Entry
			err := rows.Scan(&e.ID, &e.Action, &e.EntityType, &e.EntityID, &e.EntityName, &e.ActorID, &e.ActorName, &e.ActorEmail,
				&e.Source, &e.URL, &e.Metadata, &e.Outcome, &e.Reason, &e.NativeAction, &e.ActorType, &e.Parts)
			found[e.ID] = &e
			return err
		}, d.rebind(`SELECT e.id, e.action, e.entity_type, e.entity_id, e.entity_name, e.actor_id, e.actor_name, e.actor_email, e.source,
				e.url, e.metadata, e.outcome, e.reason, e.native_action, e.actor_type, e.parts
			FROM `+moments.sql+` CROSS JOIN audit_entries e
			WHERE e.org_id = ? AND e.id >= moment.first AND e.id < moment.next AND `+marks.sql),
			slices.Concat(moments.args, []any{orgID}, marks.args)...)
		if err != nil {
			return stored, fmt.Errorf("read entries of the same moments: %w", err)
		}
	}
	for id, e := range found {
		key := markedMoment{id.occurred(), id.mark()}
		stored.marked[key] = append(stored.marked[key], e)
	}
	return stored, readParts(ctx, d, run, orgID, found)
}

// momentsOf is the table of the microseconds of entries: of each the first ID it can have, and the next one's.
func momentsOf(d dialect, entries []*Entry) condition {
	moments := make(map[Micros]bool, len(entries))
	for _, e := range entries {
		moments[e.OccurredAt] = true
	}
	return d.moments(slices.Collect(maps.Keys(moments)))
}

// find returns the entry that is stored of the same event, if any, and whether the ID of the event, or of the
// entry, stands for another event. Of two IDs one is taken for the other once in 2³² times their entries in
// a microsecond.
func (s storedEntries) find(entry *NewEntry) (earlier *Entry, another bool) {
	for _, e := range s.marked[markedMoment{entry.Entry.OccurredAt, entry.Entry.ID.mark()}] {
		if sameEvent(e, &entry.Entry) {
			return e, false
		}
		another = another || entry.Key != nil || e.ID == entry.Entry.ID
	}
	return nil, another
}

// nextPlace takes the place behind all that are stored or were taken of a microsecond. Behind the last one there
// is none: then their order is lost.
func (s storedEntries) nextPlace(at Micros) uint32 {
	place := s.places[at]
	s.places[at] = min(place+1, lastPlace)
	return place
}

// sameEvent reports whether two entries with one ID, and so with one time, tell of the same event:
// where the request came from makes no difference.
func sameEvent(a, b *Entry) bool {
	return a.Action == b.Action && a.EntityType == b.EntityType && a.EntityID == b.EntityID && a.EntityName == b.EntityName &&
		a.ActorID == b.ActorID && a.ActorName == b.ActorName && a.ActorEmail == b.ActorEmail && a.Source == b.Source &&
		a.URL == b.URL && a.Metadata == b.Metadata && a.Further() == b.Further()
}
