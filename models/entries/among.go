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
	where := p.unless(nil).and(l.wordsMatch(p))
	newestFirst := slices.SortedFunc(slices.Values(ids), func(a, b models.EntryID) int { return b.Compare(a) })
	newestFirst = slices.DeleteFunc(newestFirst, func(id models.EntryID) bool { return !p.span.contains(id) })
	for some := range slices.Chunk(newestFirst, w.most()) {
		found, err := l.query(ctx, w.columns, l.dialect.among(org.ID, some, w.columns, where))
		found = reading{newestFirst: true}.sorted(found)
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
