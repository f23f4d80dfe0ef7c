package entries

import (
	"context"

	"github.com/auditlogs/auditlogs/models"
)

// First reads the newest entries that answer q, at most limit, and no more than a page may. Each has what a list shows;
// all reports that there are no others. Sort, Limit and Cursor of q are not read.
func (l *Log) First(ctx context.Context, org models.Organization, q Query, limit int) (found []models.Entry, all bool, err error) {
	q.Sort, q.Ascending, q.Cursor, q.Limit = SortTimestamp, false, nil, limit
	page, err := l.Page(ctx, org, q)
	return page.Entries, page.Next == nil, err
}
