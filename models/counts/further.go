package counts

import (
	"context"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/entries"
)

// Further counts entry by entry from where an answer ends, the newest first: Most entries, or as far as a page of the log
// may look. What so has counted it adds.
func Further(ctx context.Context, log *entries.Log, org models.Organization, q entries.Query, so Answer) (Answer, error) {
	t := tally{buckets: map[models.Quarter]*Bucket{}}
	for _, b := range so.Buckets {
		t.buckets[b.Quarter] = &b
	}
	q.Sort, q.Ascending, q.Cursor, q.Limit = entries.SortTimestamp, false, so.Next, Most
	page, err := log.Page(ctx, org, q)
	if err != nil {
		return Answer{}, err
	}
	for i := range page.Entries {
		t.add(&page.Entries[i])
	}
	answer := t.answer(page.Next == nil)
	answer.Next = page.Next
	return answer, nil
}
