package jobs

import "context"

// What only a SQLite database needs: it has one writer, and a file that it gives space back from. On
// PostgreSQL the store does nothing of it.
const (
	// mergedPages of the search index are as much work as should be done at a time.
	mergedPages = 16
	// vacuumedPages is how many pages the file gives back at a time, at most: 1 MB.
	vacuumedPages = 256
)

// mergeSearch takes what was deleted out of the search index.
func (r *Retention) mergeSearch(ctx context.Context) error {
	if !r.unmerged {
		return nil
	}
	begin := true
	err := r.inBatches(ctx, &r.index, func(ctx context.Context, _ int) (more bool, err error) {
		more, err = r.store.MergeSearch(ctx, mergedPages, begin)
		begin = false
		return more, err
	})
	r.unmerged = err != nil
	return err
}

// giveBackSpace makes the file smaller.
func (r *Retention) giveBackSpace(ctx context.Context) error {
	return r.inBatches(ctx, &r.pages, func(ctx context.Context, pages int) (bool, error) {
		return r.store.GiveBackSpace(ctx, min(pages, vacuumedPages))
	})
}
