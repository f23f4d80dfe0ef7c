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
	p, err := l.plan(ctx, org, q.withDefaults())
	if err != nil {
		return Page{}, err
	}
	w, n := l.walk(p, p.listed()), p.query.Limit+1
	found, err := w.next(ctx, n)
	if err == nil && p.query.backward() && len(found) < n && !w.spent {
		// The beginning is near: the first page, whole, unless that is farther to go than the way back was.
		ahead := found
		p.query.Cursor = nil
		w = l.walk(p, p.listed())
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
	page := Page{Entries: found[:min(len(found), q.Limit)]}
	n := len(page.Entries)
	var on, back *Cursor // the page that is read next, and the one before
	switch {
	case len(found) > n:
		on = &Cursor{Before: q.backward(), Value: q.Sort.value(&found[n-1]), ID: found[n-1].ID}
	case w.spent:
		page.Looked = &Cursor{Before: q.backward(), Value: w.at.group.value, ID: w.at.id}
		on = page.Looked
	}
	switch {
	case q.Cursor == nil:
	case n > 0:
		back = &Cursor{Before: !q.backward(), Value: q.Sort.value(&found[0]), ID: found[0].ID}
	case w.spent:
		back = q.Cursor.turned(q.Sort != SortTimestamp || !q.Ascending)
	}
	if !q.backward() {
		if page.Next, page.Previous = on, back; q.Cursor != nil {
			page.Ahead = q.Cursor.ID
		}
		return page
	}
	if page.Next, page.Previous, page.Ahead = back, on, on.ID; page.Looked == nil {
		page.Ahead = found[n].ID
	}
	slices.Reverse(page.Entries)
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
	page, err := l.Page(ctx, org, q)
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
		e := &page.Entries[slices.Index(ids, row.ID)]
		row.Related, row.OnBehalfOf = e.Related, e.OnBehalfOf
		*e = row.Entry
		org.Hidden.Strip(e)
	}
	return page, nil
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
			if err := fn(entries); err != nil {
				return err
			}
		}
	}
	return nil
}
