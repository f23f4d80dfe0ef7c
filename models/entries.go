package models

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm"
)

// listColumns are what a list shows. The others, of which the metadata may be large, are read only
// for exports, the API and the entry itself.
const (
	listColumns = "org_id, id, occurred_at, recorded_at, action, entity_type, entity_id, entity_name, " +
		"actor_id, actor_key, actor_name, actor_email, source, url"
	exportColumns = listColumns + ", ip, user_agent, request_id, api_key_id, api_key_name, metadata"
)

// exportBatch is how many entries EachEntry holds at a time.
const exportBatch = 500

// Entries answers q with one page. It costs about the same wherever the page lies.
func (s *Store) Entries(ctx context.Context, org Organization, q EntryQuery) (EntryPage, error) {
	q = q.withDefaults()
	p, err := s.plan(ctx, org, q)
	if err != nil {
		return EntryPage{}, err
	}
	entries, err := s.walk(p, listColumns).collect(ctx, q.Limit+1)
	if err == nil && q.backward() && len(entries) <= q.Limit {
		q.Cursor = nil // the beginning is near: the first page, whole
		entries, err = s.walk(p.fromBeginning(), listColumns).collect(ctx, q.Limit+1)
	}
	if err != nil {
		return EntryPage{}, err
	}
	more := len(entries) > q.Limit
	page := EntryPage{Entries: entries[:min(len(entries), q.Limit)]}
	if q.backward() {
		page.Ahead = entries[q.Limit].ID
		slices.Reverse(page.Entries)
	} else if q.Cursor != nil {
		page.Ahead = q.Cursor.ID
	}
	if len(page.Entries) == 0 {
		return page, nil
	}
	first, last := &page.Entries[0], &page.Entries[len(page.Entries)-1]
	if q.Cursor != nil {
		page.Previous = CursorBefore(q.Sort, first)
	}
	if more || q.backward() {
		page.Next = CursorAfter(q.Sort, last)
	}
	return page, nil
}

// EntriesWithMetadata answers q as Entries does, with whole entries.
func (s *Store) EntriesWithMetadata(ctx context.Context, org Organization, q EntryQuery) (EntryPage, error) {
	page, err := s.Entries(ctx, org, q)
	if err != nil || len(page.Entries) == 0 {
		return page, err
	}
	// Of these rows alone: those that were read on the way to them may be many, and wide.
	ids := make([]EntryID, len(page.Entries))
	for i := range page.Entries {
		ids[i] = page.Entries[i].ID
	}
	var rows []Entry
	err = s.Reader(ctx).Where("org_id = ? AND id IN ?", org.ID, ids).Find(&rows).Error
	if err != nil {
		return EntryPage{}, fmt.Errorf("read the metadata of entries of %s: %w", org.Slug, err)
	}
	whole := make(map[EntryID]Entry, len(rows))
	for _, row := range rows {
		whole[row.ID] = row
	}
	for i, entry := range page.Entries {
		if row, found := whole[entry.ID]; found { // or it has expired meanwhile
			page.Entries[i] = row
		}
	}
	return page, nil
}

func (q EntryQuery) withDefaults() EntryQuery {
	if q.Sort == "" {
		q.Sort = SortTimestamp
	}
	if q.Limit <= 0 {
		q.Limit = 50
	}
	return q
}

// collect reads n entries that answer the query; fewer only at the end.
func (w *entryWalk) collect(ctx context.Context, n int) ([]Entry, error) {
	entries, batch := make([]Entry, 0, n), n
	for len(entries) < n && !w.done {
		read, err := w.next(ctx, batch)
		if err != nil {
			return nil, err
		}
		entries = append(entries, w.matching(read)...)
		if len(read) < batch {
			break
		}
		batch = min(batch*4, 4000)
	}
	return entries[:min(len(entries), n)], nil
}

// matching keeps the entries that the words of the search match.
func (w *entryWalk) matching(entries []Entry) []Entry {
	if w.plan.words == nil {
		return entries
	}
	return slices.DeleteFunc(entries, func(e Entry) bool { return !matchesAll(w.plan.words, &e) })
}

// EachEntry hands every entry that answers q to fn, in order, metadata included, a few hundred at
// a time; memory does not grow with the answer. It stops at the first error. Limit and Cursor of q
// are not read.
func (s *Store) EachEntry(ctx context.Context, org Organization, q EntryQuery, fn func([]Entry) error) error {
	q = q.withDefaults()
	q.Cursor = nil
	p, err := s.plan(ctx, org, q)
	if err != nil {
		return err
	}
	for w := s.walk(p, exportColumns); !w.done; {
		entries, err := w.next(ctx, exportBatch)
		if err != nil {
			return err
		}
		if entries = w.matching(entries); len(entries) == 0 {
			continue
		}
		if err := fn(entries); err != nil {
			return err
		}
	}
	return nil
}

// Entry finds one entry with its metadata, or ErrNotFound (expired and foreign ones included).
func (s *Store) Entry(ctx context.Context, org Organization, id EntryID) (Entry, error) {
	var entry Entry
	err := s.Reader(ctx).Where("org_id = ? AND id = ? AND id >= ?", org.ID, id, FirstEntryID(org.KeptSince(s.Now()))).
		Take(&entry).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return Entry{}, fmt.Errorf("entry %s of %s: %w", id, org.Slug, ErrNotFound)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("find entry %s of %s: %w", id, org.Slug, err)
	}
	return entry, nil
}

// CountEntriesBefore counts the visible entries that occurred before t, up to atMost.
func (s *Store) CountEntriesBefore(ctx context.Context, org Organization, t Micros, atMost int) (int, error) {
	var count int
	err := s.Reader(ctx).Raw(`SELECT COUNT(*) FROM (
	SELECT 1 FROM audit_entries WHERE org_id = ? AND id >= ? AND id < ? LIMIT ?) AS first`,
		org.ID, FirstEntryID(org.KeptSince(s.Now())), FirstEntryID(t), atMost).Scan(&count).Error
	if err != nil {
		return 0, fmt.Errorf("count entries of %s: %w", org.Slug, err)
	}
	return count, nil
}
