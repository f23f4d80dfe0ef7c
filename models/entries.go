package models

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm"
)

// exportBatch is how many entries EachEntry holds at a time.
const exportBatch = 500

// Entries answers q with one page. It costs about the same wherever the page lies, and no more than a page
// may: see EntryPage.Looked.
func (s *Store) Entries(ctx context.Context, org Organization, q EntryQuery) (EntryPage, error) {
	q = q.withDefaults()
	p, err := s.plan(ctx, org, q)
	if err != nil {
		return EntryPage{}, err
	}
	w := s.walkPage(p, listColumns)
	entries, err := w.next(ctx, q.Limit+1)
	if err == nil && q.backward() && len(entries) <= q.Limit && !w.spent {
		ahead := entries
		q.Cursor = nil // the beginning is near: the first page, whole
		w = s.walkPage(p.fromBeginning(), listColumns)
		entries, err = w.next(ctx, q.Limit+1)
		if err == nil && w.spent && len(entries) < len(ahead) { // on this way they were found
			slices.Reverse(ahead)
			return EntryPage{Entries: ahead, Next: CursorAfter(q.Sort, &ahead[len(ahead)-1])}, nil
		}
	}
	if err != nil {
		return EntryPage{}, err
	}
	more := len(entries) > q.Limit
	page := EntryPage{Entries: entries[:min(len(entries), q.Limit)]}
	if w.spent && !more {
		page.Looked = w.place()
	}
	listed := q
	listed.Cursor = nil
	newestFirst := listed.newestFirst()
	switch {
	case q.backward():
		if slices.Reverse(page.Entries); more {
			page.Ahead = entries[q.Limit].ID
		}
	case q.Cursor != nil:
		page.Ahead = q.Cursor.ID
	}
	if n := len(page.Entries); n > 0 {
		first, last := &page.Entries[0], &page.Entries[n-1]
		if q.Cursor != nil {
			page.Previous = CursorBefore(q.Sort, first)
		}
		if more || q.backward() {
			page.Next = CursorAfter(q.Sort, last)
		}
	} else if page.Looked != nil && q.Cursor != nil {
		back := q.Cursor.turned(newestFirst)
		if page.Previous = back; q.backward() {
			page.Previous, page.Next = nil, back
		}
	}
	switch {
	case page.Looked == nil:
	case q.backward():
		page.Previous, page.Ahead = page.Looked, page.Looked.ID
	default:
		page.Next = page.Looked
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
	err = s.LogReader(ctx).Where("org_id = ? AND id IN ?", org.ID, ids).Find(&rows).Error
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
		if len(entries) == 0 {
			continue
		}
		if err := fn(entries); err != nil {
			return err
		}
	}
	return nil
}

// findEntry is Entry in the pool that suits the visit.
func (s *Store) findEntry(ctx context.Context, org Organization, id EntryID) (Entry, error) {
	var entry Entry
	err := s.LogReader(ctx).Where("org_id = ? AND id = ? AND id >= ?", org.ID, id, FirstEntryID(org.KeptSince(s.Now()))).
		Take(&entry).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return Entry{}, fmt.Errorf("entry %s of %s: %w", id, org.Slug, ErrNotFound)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("find entry %s of %s: %w", id, org.Slug, err)
	}
	return entry, nil
}

// CountEntriesBefore counts the visible entries that occurred before t, up to atMost. The answer is
// what somebody decides by: it comes from the primary. It is in order so that PostgreSQL keeps to the index:
// in any order it would rather read the whole table where few pages are marked as visible to all.
func (s *Store) CountEntriesBefore(ctx context.Context, org Organization, t Micros, atMost int) (int, error) {
	var count int
	err := s.Reader(ctx).Raw(`SELECT COUNT(*) FROM (
	SELECT 1 FROM audit_entries WHERE org_id = ? AND id >= ? AND id < ? ORDER BY id LIMIT ?) AS first`,
		org.ID, FirstEntryID(org.KeptSince(s.Now())), FirstEntryID(t), atMost).Scan(&count).Error
	if err != nil {
		return 0, fmt.Errorf("count entries of %s: %w", org.Slug, err)
	}
	return count, nil
}
