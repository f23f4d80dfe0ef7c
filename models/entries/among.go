package entries

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/auditlogs/auditlogs/models"
)

// ErrTooLong reports that the metadata of entries is more than may be in memory at once.
var ErrTooLong = errors.New("the metadata of these entries is too long together")

// maxAmong is how long the metadata that Among answers with may be together, in bytes.
const maxAmong = 8 << 20

// Among answers q with those of some entries that answer it, newest first, each with what a list shows. Sort, Limit and
// Cursor of q are not read. Where q asks for metadata the error may be ErrTooLong.
func (l *Log) Among(ctx context.Context, org models.Organization, q Query, ids []models.EntryID) (matching []models.Entry, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	q.Sort, q.Ascending, q.Cursor = SortTimestamp, false, nil
	p, err := l.plan(ctx, org, q.withDefaults())
	if err != nil || p.base.none() {
		return nil, err
	}
	w, length := l.walk(p, p.listed()), 0
	set := w.asItLies(group{})
	where := condition{"org_id = ?", []any{org.ID}}.and(set.common).and(set.where)
	newestFirst := slices.SortedFunc(slices.Values(ids), func(a, b models.EntryID) int { return b.Compare(a) })
	newestFirst = slices.DeleteFunc(newestFirst, func(id models.EntryID) bool { return !p.span.contains(id) })
	for some := range slices.Chunk(newestFirst, w.most()) {
		// With the span, or in order, PostgreSQL's plan for any values reads the span to its end.
		found, err := l.query(ctx, w.columns, condition{"SELECT 0, " + w.columns + " FROM audit_entries WHERE " + where.sql + " AND id IN ?",
			append(slices.Clip(where.args), some)})
		slices.SortFunc(found, func(a, b groupedEntry) int { return b.ID.Compare(a.ID) })
		if err == nil {
			err = w.readRelated(ctx, found)
		}
		if err != nil {
			return nil, fmt.Errorf("read entries of %s: %w", org.Slug, err)
		}
		for _, e := range w.take(found, []group{{}}, nil, len(found)+1) {
			org.Hidden.Strip(&e)
			if length += len(e.Metadata); length > maxAmong {
				return nil, ErrTooLong
			}
			matching = append(matching, e)
		}
	}
	if err := w.readParts(ctx, matching); err != nil {
		return nil, fmt.Errorf("read entries of %s: %w", org.Slug, err)
	}
	return matching, nil
}
