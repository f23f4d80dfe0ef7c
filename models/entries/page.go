package entries

import (
	"context"
	"fmt"
	"slices"

	"github.com/auditlogs/auditlogs/models"
)

// Page answers q with one page. It costs about the same wherever the page lies, and no more than a page may:
// see Page.Looked.
func (l *Log) Page(ctx context.Context, org models.Organization, q Query) (Page, error) {
	page, err := l.list(ctx, org, q)
	if err != nil {
		return Page{}, err
	}
	return page, models.ReadParts(ctx, l.LogReader(ctx), org.ID, page.Entries)
}

// list is Page without what stands in tables beside the entries.
func (l *Log) list(ctx context.Context, org models.Organization, q Query) (Page, error) {
	p, err := l.plan(ctx, org, q.withDefaults())
	if err != nil {
		return Page{}, err
	}
	w, n := l.walk(p, listColumns), p.query.Limit+1
	found, err := w.next(ctx, n)
	if err == nil && p.query.backward() && len(found) < n && !w.spent {
		// The beginning is near: the first page, whole, unless that is farther to go than the way back was.
		ahead := found
		p.query.Cursor = nil
		w = l.walk(p, listColumns)
		if found, err = w.next(ctx, n); err == nil && w.spent && len(found) < len(ahead) {
			slices.Reverse(ahead)
			return Page{Entries: ahead, Next: CursorAfter(p.query.Sort, &ahead[len(ahead)-1])}, nil
		}
	}
	if err != nil {
		return Page{}, err
	}
	return w.page(found), nil
}

// page is what was found with its links. The entry beyond the limit only tells that there are more.
func (w *walk) page(found []models.Entry) Page {
	q := w.plan.query
	more := len(found) > q.Limit
	page := Page{Entries: found[:min(len(found), q.Limit)]}
	if w.spent && !more {
		page.Looked = &Cursor{Before: q.backward(), Value: w.at.group.value, ID: w.at.id}
	}
	switch {
	case q.backward():
		if slices.Reverse(page.Entries); more {
			page.Ahead = found[q.Limit].ID
		}
	case q.Cursor != nil:
		page.Ahead = q.Cursor.ID
	}
	if n := len(page.Entries); n > 0 {
		if q.Cursor != nil {
			page.Previous = CursorBefore(q.Sort, &page.Entries[0])
		}
		if more || q.backward() {
			page.Next = CursorAfter(q.Sort, &page.Entries[n-1])
		}
	} else if page.Looked != nil && q.Cursor != nil {
		back := q.Cursor.turned(q.Sort != SortTimestamp || !q.Ascending)
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
	return page
}

// turned is the same place for a page on its other side: what c leaves behind is what that page begins or
// ends with, the entry c names included.
func (c Cursor) turned(newestFirst bool) *Cursor {
	if c.ID.IsZero() { // behind the last entry with this value, or ahead of the first
		if c.ID = (models.EntryID{len(models.EntryID{}) - 1: 1}); c.Before {
			c.ID = lastID
		}
	} else if up := c.Before == newestFirst; up {
		c.ID = next(c.ID)
	} else {
		c.ID = previous(c.ID)
	}
	c.Before = !c.Before
	return &c
}

// PageWithMetadata answers q as Page does, with whole entries.
func (l *Log) PageWithMetadata(ctx context.Context, org models.Organization, q Query) (Page, error) {
	page, err := l.list(ctx, org, q)
	if err != nil || len(page.Entries) == 0 {
		return page, err
	}
	// Of these rows alone: those that were read on the way to them may be many, and wide.
	ids := make([]models.EntryID, len(page.Entries))
	for i := range page.Entries {
		ids[i] = page.Entries[i].ID
	}
	rows, err := l.readByID(ctx, org.ID, ids, exportColumns)
	if err != nil {
		return Page{}, fmt.Errorf("read the metadata of entries of %s: %w", org.Slug, err)
	}
	for _, row := range rows { // one that is missing has expired meanwhile
		page.Entries[slices.Index(ids, row.ID)] = row.Entry
	}
	return page, models.ReadParts(ctx, l.LogReader(ctx), org.ID, page.Entries)
}

// batch is how many entries Each hands over at a time.
const batch = 500

// Each hands every entry that answers q to fn, in order, metadata included, a few hundred at a time; memory
// does not grow with the answer. It stops at the first error. Limit and Cursor of q are not read.
func (l *Log) Each(ctx context.Context, org models.Organization, q Query, fn func([]models.Entry) error) error {
	q.Cursor = nil
	p, err := l.plan(ctx, org, q.withDefaults())
	if err != nil {
		return err
	}
	w := l.walk(p, exportColumns)
	for !w.done {
		entries, err := w.next(ctx, batch)
		if err != nil {
			return err
		}
		if len(entries) > 0 {
			if err := models.ReadParts(ctx, l.LogReader(ctx), org.ID, entries); err != nil {
				return err
			}
			if err := fn(entries); err != nil {
				return err
			}
		}
	}
	return nil
}
