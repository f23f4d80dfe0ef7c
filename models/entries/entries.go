package entries

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/auditlogs/auditlogs/models"
	"gorm.io/gorm"
)

// exportBatch is how many entries EachEntry holds at a time.
const exportBatch = 500

// Entries answers q with one page. It costs about the same wherever the page lies, and no more than a page
// may: see Page.Looked.
func (s *Log) Page(ctx context.Context, org models.Organization, q Query) (Page, error) {
	q = q.withDefaults()
	p, err := s.plan(ctx, org, q)
	if err != nil {
		return Page{}, err
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
			return Page{Entries: ahead, Next: CursorAfter(q.Sort, &ahead[len(ahead)-1])}, nil
		}
	}
	if err != nil {
		return Page{}, err
	}
	more := len(entries) > q.Limit
	page := Page{Entries: entries[:min(len(entries), q.Limit)]}
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
func (s *Log) PageWithMetadata(ctx context.Context, org models.Organization, q Query) (Page, error) {
	page, err := s.Page(ctx, org, q)
	if err != nil || len(page.Entries) == 0 {
		return page, err
	}
	// Of these rows alone: those that were read on the way to them may be many, and wide.
	ids := make([]models.EntryID, len(page.Entries))
	for i := range page.Entries {
		ids[i] = page.Entries[i].ID
	}
	var rows []models.Entry
	err = s.LogReader(ctx).Where("org_id = ? AND id IN ?", org.ID, ids).Find(&rows).Error
	if err != nil {
		return Page{}, fmt.Errorf("read the metadata of entries of %s: %w", org.Slug, err)
	}
	whole := make(map[models.EntryID]models.Entry, len(rows))
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

func (q Query) withDefaults() Query {
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
func (s *Log) Each(ctx context.Context, org models.Organization, q Query, fn func([]models.Entry) error) error {
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

// findEntry is models.Entry in the pool that suits the visit.
func (s *Log) findEntry(ctx context.Context, org models.Organization, id models.EntryID) (models.Entry, error) {
	var entry models.Entry
	err := s.LogReader(ctx).Where("org_id = ? AND id = ? AND id >= ?", org.ID, id, models.FirstEntryID(org.KeptSince(s.Now()))).
		Take(&entry).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return models.Entry{}, fmt.Errorf("entry %s of %s: %w", id, org.Slug, models.ErrNotFound)
	}
	if err != nil {
		return models.Entry{}, fmt.Errorf("find entry %s of %s: %w", id, org.Slug, err)
	}
	return entry, nil
}

// CountEntriesBefore counts the visible entries that occurred before t, up to atMost. The answer is
// what somebody decides by: it comes from the primary.
func (s *Log) CountBefore(ctx context.Context, org models.Organization, t models.Micros, atMost int) (int, error) {
	var count int
	err := s.Reader(ctx).Raw(`SELECT COUNT(*) FROM (
	SELECT 1 FROM audit_entries WHERE org_id = ? AND id >= ? AND id < ? LIMIT ?) AS first`,
		org.ID, models.FirstEntryID(org.KeptSince(s.Now())), models.FirstEntryID(t), atMost).Scan(&count).Error
	if err != nil {
		return 0, fmt.Errorf("count entries of %s: %w", org.Slug, err)
	}
	return count, nil
}
