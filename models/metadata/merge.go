package metadata

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
)

const (
	// mergedRuns are how many runs of a level become one of the next.
	mergedRuns = 16
	// mostBlocks is how many blocks a run has that is not merged any further. So the work of merging ends, and what has
	// expired goes with the runs it is in.
	mostBlocks = 4096
	// How many pages are written or deleted at most for a new run: some, and more the longer that is, as each page is
	// written again on every level.
	leastWork   = 24
	workPerPage = 6
	// mergeTime is how long that may take, of all organizations whose entries are indexed together: what is left is done with
	// later ones.
	mergeTime = 10 * time.Second
	// pagesInStep are how many of them are in one transaction.
	pagesInStep = 100
)

// errRunsChanged ends a transaction that met with another, such as the clean-up's.
var errRunsChanged = errors.New("the runs were changed by another transaction")

// merge does a share of the merging that is due, in steps of a transaction each: it deletes pages of runs that are gone,
// goes on with what is being built, and begins anew, small runs first. What others change meanwhile ends it, and so does
// the end of its time.
func merge(ctx context.Context, store *models.Store, orgID int64, work int, until time.Time) error {
	for work > 0 {
		done, err := mergeStep(ctx, store, orgID, models.EntryID{}, min(work, pagesInStep))
		if errors.Is(err, errRunsChanged) || err == nil && done == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		if work -= done; store.Now().After(until) {
			return nil
		}
	}
	return nil
}

// Forget writes or deletes about so many pages, so that the letters of blocks that the clean-up has deleted go from runs
// that begin a month before what is kept; more reports whether that may be left to do. Runs are written anew for it.
func Forget(ctx context.Context, store *models.Store, orgID int64, keptSince models.Micros, limit int) (more bool, err error) {
	done, err := mergeStep(ctx, store, orgID, models.FirstEntryID(keptSince), limit)
	if err != nil && !errors.Is(err, errRunsChanged) {
		return false, fmt.Errorf("forget expired letters of the index of metadata: %w", err)
	}
	return done > 0 && err == nil, nil
}

// forgottenAfter is how long letters may stay that lead nowhere any more.
const forgottenAfter = 31 * 24 * time.Hour

// mergeStep writes or deletes about so many pages, or marks what is to be merged next; done is 0 where nothing is due.
// What lies before kept has been deleted.
func mergeStep(ctx context.Context, store *models.Store, orgID int64, kept models.EntryID, limit int) (done int, err error) {
	var runs []run
	if err := store.Reader(ctx).Where("org_id = ?", orgID).Order("level, first_block, run").Find(&runs).Error; err != nil {
		return 0, err
	}
	var due []run
	for _, r := range runs {
		switch {
		case r.State == gone:
			return deletePages(ctx, store, r, limit)
		case r.State == building:
			return build(ctx, store, r, runs, limit)
		case r.MergedInto == 0 && r.FirstID.Occurred().Before(kept.Occurred().Add(-forgottenAfter)):
			return 1, begin(ctx, store, []run{r}, kept)
		case r.MergedInto != 0 || r.blocks() >= mostBlocks || len(due) == mergedRuns:
		case len(due) > 0 && due[0].Level != r.Level:
			due = []run{r}
		default:
			due = append(due, r)
		}
	}
	if len(due) < mergedRuns {
		return 0, nil
	}
	return 1, begin(ctx, store, due, models.EntryID{})
}

// deletePages deletes at most limit pages of a run that is gone, and with the last one the run: those that the clean-up
// deletes at the same time are not the last.
func deletePages(ctx context.Context, store *models.Store, r run, limit int) (deleted int, err error) {
	err = store.Transaction(ctx, func(tx *gorm.DB) error {
		result := tx.Exec("DELETE FROM audit_metadata_pages WHERE org_id = ? AND run = ? AND key IN ("+
			"SELECT key FROM audit_metadata_pages WHERE org_id = ? AND run = ? ORDER BY key LIMIT ?)", r.OrgID, r.Run, r.OrgID, r.Run, limit)
		deleted = max(1, int(result.RowsAffected))
		if result.Error != nil || result.RowsAffected == int64(limit) {
			return result.Error
		}
		return tx.Where("org_id = ? AND run = ?", r.OrgID, r.Run).
			Where("NOT EXISTS (SELECT 1 FROM audit_metadata_pages WHERE org_id = ? AND run = ?)", r.OrgID, r.Run).Delete(&run{}).Error
	})
	return deleted, err
}

// begin has some runs become one, which has nothing before kept.
func begin(ctx context.Context, store *models.Store, inputs []run, kept models.EntryID) error {
	r := inputs[0]
	r.State = building
	if len(inputs) > 1 {
		r.Level++
	}
	var inputNumbers []int64
	for _, in := range inputs {
		inputNumbers = append(inputNumbers, in.Run)
		r.FirstBlock, r.EndBlock = min(r.FirstBlock, in.FirstBlock), max(r.EndBlock, in.EndBlock)
		r.FirstID = slices.MinFunc([]models.EntryID{r.FirstID, in.FirstID}, models.EntryID.Compare)
		r.LastID = slices.MaxFunc([]models.EntryID{r.LastID, in.LastID}, models.EntryID.Compare)
	}
	r.FirstID = slices.MaxFunc([]models.EntryID{r.FirstID, kept}, models.EntryID.Compare)
	return store.Transaction(ctx, func(tx *gorm.DB) (err error) {
		if r.Run, _, err = numbers(tx, r.OrgID, 1, 0); err != nil {
			return err
		}
		if err := tx.Create(&r).Error; err != nil {
			return err
		}
		return all(len(inputs), tx.Model(&run{}).Where("org_id = ? AND run IN ? AND state = ? AND merged_into = 0", r.OrgID, inputNumbers, whole).
			Update("merged_into", r.Run))
	})
}

// all fails where not so many rows were changed.
func all(rows int, change *gorm.DB) error {
	if change.Error == nil && change.RowsAffected != int64(rows) {
		return errRunsChanged
	}
	return change.Error
}

// build writes about so many more pages of a run; with the last one it takes the place of those it is built of, which are
// among others.
func build(ctx context.Context, store *models.Store, r run, runs []run, limit int) (written int, err error) {
	last, done, err := lastPage(store.Reader(ctx), r)
	if err != nil {
		return 0, err
	}
	m := &merging{}
	inputs := 0
	for _, in := range runs {
		if in.MergedInto != r.Run {
			continue
		}
		inputs++
		lists := &lists{db: store.Reader(ctx), run: in, shift: uint64(in.FirstBlock - r.FirstBlock), after: done}
		if err := lists.next(); err != nil {
			return 0, err
		}
		if lists.more() {
			m.all = append(m.all, lists)
		}
	}
	there := func(uint64) bool { return true }
	if inputs == 1 {
		if there, err = blocksOf(store.Reader(ctx), r); err != nil {
			return 0, err
		}
	}
	heap.Init(m)
	w := pageWriter{orgID: r.OrgID, run: r.Run}
	var blocks []uint64
	for len(m.all) > 0 && len(w.pages) < limit {
		gram := m.all[0].gram()
		blocks = blocks[:0]
		for len(m.all) > 0 && m.all[0].gram() == gram {
			first := m.all[0]
			for _, block := range first.blocks() {
				if there(block) {
					blocks = append(blocks, block)
				}
			}
			if err := first.step(); err != nil {
				return 0, err
			}
			if first.more() {
				heap.Fix(m, 0)
			} else {
				heap.Pop(m)
			}
		}
		slices.Sort(blocks) // those of runs that were begun before others ended
		w.add(gram, blocks)
	}
	w.flush()
	return max(1, len(w.pages)), store.Transaction(ctx, func(tx *gorm.DB) error {
		if err := all(1, tx.Model(&run{}).Where("org_id = ? AND run = ? AND state = ?", r.OrgID, r.Run, building).Update("state", building)); err != nil {
			return err
		}
		// Nobody else goes on with it meanwhile, or has.
		if now, _, err := lastPage(tx, r); err != nil || !bytes.Equal(now, last) {
			return cmp.Or(err, errRunsChanged)
		}
		if err := storePages(tx, w.pages); err != nil || len(m.all) > 0 {
			return err
		}
		if err := all(inputs, tx.Model(&run{}).Where("org_id = ? AND merged_into = ?", r.OrgID, r.Run).Update("state", gone)); err != nil {
			return err
		}
		return tx.Model(&run{}).Where("org_id = ? AND run = ?", r.OrgID, r.Run).Update("state", whole).Error
	})
}

// blocksOf tells which of a run are there.
func blocksOf(db *gorm.DB, r run) (there func(number uint64) bool, err error) {
	var found []int64
	err = db.Model(&block{}).Where("org_id = ? AND block >= ? AND block < ?", r.OrgID, r.FirstBlock, r.EndBlock).Pluck("block", &found).Error
	is := make([]bool, r.blocks())
	for _, number := range found {
		is[number-r.FirstBlock] = true
	}
	return func(number uint64) bool { return is[number] }, err
}

// lastPage is the key of the last one of a run, and the last gram in it, all of whose blocks are there.
func lastPage(db *gorm.DB, r run) (key []byte, gram string, err error) {
	var pages []page
	err = db.Where("org_id = ? AND run = ?", r.OrgID, r.Run).Order("key DESC").Limit(1).Find(&pages).Error
	if err != nil || len(pages) == 0 {
		return nil, "", err
	}
	err = eachList(pages[0].Data, func(last string, _ []uint64) { gram = last })
	return pages[0].Key, gram, err
}

// list is a gram and the blocks it stands in.
type list struct {
	gram   string
	blocks []uint64
}

// lists are those of a run behind a gram, read some pages at a time.
type lists struct {
	db    *gorm.DB
	run   run
	shift uint64 // what is added to the numbers of blocks
	after string
	key   []byte // of the page that was read last
	ended bool
	read  []list
}

func (l *lists) more() bool       { return len(l.read) > 0 }
func (l *lists) gram() string     { return l.read[0].gram }
func (l *lists) blocks() []uint64 { return l.read[0].blocks }

func (l *lists) step() error {
	if l.read = l.read[1:]; len(l.read) == 0 {
		return l.next()
	}
	return nil
}

// pagesAtATime are how many pages of a run are in memory.
const pagesAtATime = 8

// next reads on until there is a list or the run ends.
func (l *lists) next() error {
	for len(l.read) == 0 && !l.ended {
		query := l.db.Where("org_id = ? AND run = ?", l.run.OrgID, l.run.Run)
		switch {
		case l.key != nil:
			query = query.Where("key > ?", l.key)
		case l.after != "": // which may stand in the page before the first that begins behind it
			begin := l.db.Model(&page{}).Select("key").Where("org_id = ? AND run = ? AND key < ?", l.run.OrgID, l.run.Run, []byte(l.after+"\x01")).
				Order("key DESC").Limit(1)
			query = query.Where("key >= COALESCE((?), ?)", begin, []byte(separator))
		}
		var pages []page
		if err := query.Order("key").Limit(pagesAtATime).Find(&pages).Error; err != nil {
			return err
		}
		l.ended = len(pages) < pagesAtATime
		for _, p := range pages {
			l.key = p.Key
			err := eachList(p.Data, func(gram string, blocks []uint64) {
				if gram <= l.after {
					return
				}
				for i := range blocks {
					blocks[i] += l.shift
				}
				l.read = append(l.read, list{gram, blocks})
			})
			if err != nil {
				return fmt.Errorf("run %d: %w", l.run.Run, err)
			}
		}
	}
	return nil
}

// merging gives the lists of several runs in the order of their grams, and of one gram in the order of runs.
type merging struct{ all []*lists }

func (m *merging) Len() int      { return len(m.all) }
func (m *merging) Swap(i, j int) { m.all[i], m.all[j] = m.all[j], m.all[i] }
func (m *merging) Push(any)      {}
func (m *merging) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(m.all[i].gram(), m.all[j].gram()), cmp.Compare(m.all[i].shift, m.all[j].shift)) < 0
}
func (m *merging) Pop() any {
	last := m.all[len(m.all)-1]
	m.all = m.all[:len(m.all)-1]
	return last
}
