package entries

import (
	"context"
	"fmt"

	"github.com/auditlogs/auditlogs/models"
)

// Among answers q with those of some entries that answer it, newest first, each with what a list shows. Sort, Limit and
// Cursor of q are not read.
func (l *Log) Among(ctx context.Context, org models.Organization, q Query, ids []models.EntryID) (matching []models.Entry, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	q.Sort, q.Ascending, q.Cursor = SortTimestamp, false, nil
	p, err := l.plan(ctx, org, q.withDefaults())
	if err != nil || p.base.none() {
		return nil, err
	}
	w := l.walk(p, p.listed())
	where := reading{orgID: org.ID, span: p.span}.where(w.asItLies(group{}), "id", "?")
	found, err := l.query(ctx, w.columns, condition{"SELECT 0, " + w.columns + " FROM audit_entries WHERE " + where.sql +
		" AND id IN ? ORDER BY id DESC", append(where.args, ids)})
	if err == nil {
		err = w.readRelated(ctx, found)
	}
	if err == nil {
		matching = w.take(found, []group{{}}, nil, len(found)+1)
		err = w.readParts(ctx, matching)
	}
	if err != nil {
		return nil, fmt.Errorf("read entries of %s: %w", org.Slug, err)
	}
	for i := range matching {
		org.Hidden.Strip(&matching[i])
	}
	return matching, nil
}
