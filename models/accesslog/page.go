package accesslog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/auditlogs/auditlogs/models"
)

// Query asks for a page, newest first. Zero values do not restrict.
type Query struct {
	ReaderID string
	Kind     Kind
	Since    time.Time // what is older has expired
	Cursor   *Cursor   // where the page begins; nil for the first
	Limit    int
}

// Cursor is a place in the access log: behind a row, or ahead of it.
type Cursor struct {
	Before bool // the page that ends ahead of the row, instead of the one that begins behind it
	Minute models.Micros
	Digest []byte
}

// Page is a page of the access log.
type Page struct {
	Views          []View
	Next, Previous *Cursor // nil at the end, and at the beginning
}

// Page answers q.
func (l *Log) Page(ctx context.Context, orgID int64, q Query) (page Page, err error) {
	views := l.store.Reader(ctx).Where("org_id = ? AND minute >= ?", orgID, models.MicrosOf(q.Since))
	if q.ReaderID != "" {
		views = views.Where("reader_id = ?", q.ReaderID)
	}
	if q.Kind != "" {
		views = views.Where("kind = ?", q.Kind)
	}
	back := q.Cursor != nil && q.Cursor.Before
	order := "minute DESC, digest DESC"
	if back {
		order = "minute, digest"
	}
	if q.Cursor != nil {
		side := "<"
		if back {
			side = ">"
		}
		views = views.Where("(minute, digest) "+side+" (?, ?)", q.Cursor.Minute, q.Cursor.Digest)
	}
	if err := views.Order(order).Limit(q.Limit + 1).Find(&page.Views).Error; err != nil {
		return page, fmt.Errorf("read the access log of organization %d: %w", orgID, err)
	}
	more := len(page.Views) > q.Limit
	page.Views = page.Views[:min(len(page.Views), q.Limit)]
	if back {
		slices.Reverse(page.Views)
	}
	if len(page.Views) == 0 {
		return page, nil
	}
	first, last := page.Views[0], page.Views[len(page.Views)-1]
	if back && more || !back && q.Cursor != nil {
		page.Previous = &Cursor{true, first.Minute, first.Digest}
	}
	if !back && more || back {
		page.Next = &Cursor{false, last.Minute, last.Digest}
	}
	return page, nil
}

// Readers lists up to limit of those who read, by name, as they were called last.
func (l *Log) Readers(ctx context.Context, orgID int64, limit int) (readers []Reader, err error) {
	// By one seek each, where DISTINCT would read every row.
	err = l.store.Reader(ctx).Raw(`
WITH RECURSIVE readers(reader_id) AS (
	SELECT (SELECT MIN(reader_id) FROM audit_access_log WHERE org_id = @org)
	UNION ALL
	SELECT (SELECT MIN(a.reader_id) FROM audit_access_log a WHERE a.org_id = @org AND a.reader_id > readers.reader_id)
	FROM readers WHERE readers.reader_id IS NOT NULL
)
SELECT reader_id,
	(SELECT a.reader_name FROM audit_access_log a WHERE a.org_id = @org AND a.reader_id = readers.reader_id ORDER BY a.minute DESC LIMIT 1) AS reader_name,
	(SELECT a.reader_email FROM audit_access_log a WHERE a.org_id = @org AND a.reader_id = readers.reader_id ORDER BY a.minute DESC LIMIT 1) AS reader_email
FROM readers WHERE reader_id IS NOT NULL LIMIT @limit`, map[string]any{"org": orgID, "limit": limit}).Scan(&readers).Error
	if err != nil {
		return nil, fmt.Errorf("list who read the log of organization %d: %w", orgID, err)
	}
	slices.SortFunc(readers, func(a, b Reader) int {
		return cmp.Or(cmp.Compare(models.Fold(a.Name), models.Fold(b.Name)), cmp.Compare(a.ID, b.ID))
	})
	return readers, nil
}
