package metadata

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/auditlogs/auditlogs/models"
)

// ConsumerName is what the place of the index in the log is kept under.
const ConsumerName = "metadata"

const (
	blockEntries = 64       // that a block has at most
	blockBytes   = 32 << 10 // of text, after which it ends
	// fewEntries are not worth a run: they wait until there are as many.
	fewEntries = 2 * blockEntries
	// waitingBytes is how long texts that have waited may be together, about, so that there is room for them; the others
	// wait on. takenTogether of them are read at once.
	waitingBytes, takenTogether = 4 << 20, 16
	// mostOfRun is how many grams a run has before it is merged, about, as often as they stand in a block; those that take
	// more room count longGram times.
	mostOfRun, longGram = 2 << 20, 16
)

// head is what the index knows of an organization.
type head struct {
	OrgID     int64
	Waiting   []byte // the IDs of entries that are in no run yet, one behind the other
	NextRun   int64
	NextBlock int64
}

func (head) TableName() string { return "audit_metadata_heads" }

// block is some entries.
type block struct {
	OrgID           int64
	Block           int64 // its number
	FirstID, LastID models.EntryID
	IDs             []byte `gorm:"column:ids"` // in order, one behind the other
}

func (block) TableName() string { return "audit_metadata_blocks" }

// States of a run.
const (
	building = iota // from others, whose pages are read until it is whole
	whole
	gone // its pages are being deleted
)

// run is an index of some blocks.
type run struct {
	OrgID           int64
	Run             int64 // its number
	Level           int   // about the logarithm of its length, to the base of mergedRuns
	State           int
	FirstBlock      int64 // from this one to before the end
	EndBlock        int64
	FirstID, LastID models.EntryID
	MergedInto      int64 // the run that is being built of it and others, or 0
}

func (run) TableName() string { return "audit_metadata_runs" }

func (r run) blocks() int64 { return r.EndBlock - r.FirstBlock }

// text is an entry's metadata.
type text struct {
	ID       models.EntryID
	Metadata string
}

// rowsAtATime keeps a statement short of the parameters it may have.
const rowsAtATime = 500

// Prepare reads what it takes to index entries, which have their metadata, and does a share of the merging that is due, in
// short transactions of its own. It answers with what stores the rest.
func Prepare(ctx context.Context, store *models.Store, entries []models.Entry) (add func(tx *gorm.DB) error, err error) {
	texts := map[int64][]text{}
	for i := range entries {
		if e := &entries[i]; len(e.Metadata) > len("{}") {
			texts[e.OrgID] = append(texts[e.OrgID], text{e.ID, e.Metadata})
		}
	}
	orgs := slices.Sorted(maps.Keys(texts))
	var found []head
	if err := store.Reader(ctx).Where("org_id IN ?", orgs).Find(&found).Error; err != nil {
		return nil, fmt.Errorf("read the heads of the index of metadata: %w", err)
	}
	waiting := map[int64][]byte{}
	for _, h := range found {
		waiting[h.OrgID] = h.Waiting
	}
	var heads []head
	var runs []newRun
	room, began := waitingBytes, store.Now()
	for i, orgID := range orgs {
		mayMergeUntil := began.Add(mergeTime * time.Duration(i+1) / time.Duration(len(orgs)))
		h := head{OrgID: orgID, Waiting: waiting[orgID], NextRun: 1, NextBlock: 1}
		texts := texts[orgID]
		if len(texts) < blockEntries {
			for _, t := range texts {
				h.Waiting = append(h.Waiting, t.ID[:]...)
			}
			texts = nil
			if len(h.Waiting) >= fewEntries*len(models.EntryID{}) {
				var err error
				if texts, h.Waiting, err = takeWaiting(ctx, store, orgID, h.Waiting, &room); err != nil {
					return nil, fmt.Errorf("read entries that wait for the index of metadata: %w", err)
				}
			}
		}
		heads = append(heads, h)
		pages := 0
		for len(texts) > 0 {
			var r newRun
			r, texts = cut(orgID, texts)
			runs, pages = append(runs, r), pages+len(r.pages)
		}
		if pages == 0 {
			continue
		}
		if err := merge(ctx, store, orgID, leastWork+workPerPage*pages, mayMergeUntil); err != nil {
			return nil, fmt.Errorf("merge the index of metadata of organization %d: %w", orgID, err)
		}
	}
	return func(tx *gorm.DB) error {
		for some := range slices.Chunk(heads, rowsAtATime) {
			err := tx.Clauses(clause.OnConflict{
				Columns: []clause.Column{{Name: "org_id"}}, DoUpdates: clause.AssignmentColumns([]string{"waiting"}),
			}).Create(&some).Error
			if err != nil {
				return fmt.Errorf("keep the heads of the index of metadata: %w", err)
			}
		}
		for _, r := range runs {
			if err := r.store(tx); err != nil {
				return fmt.Errorf("index metadata of organization %d: %w", r.OrgID, err)
			}
		}
		return nil
	}, nil
}

// newRun is a run that has no number yet: those of its blocks begin with 0.
type newRun struct {
	run
	has   []block
	pages []page
}

// takeWaiting reads entries that wait, from the first on, as long as there is room, and returns what waits still.
func takeWaiting(ctx context.Context, store *models.Store, orgID int64, waiting []byte, room *int) (taken []text, left []byte, err error) {
	for len(waiting) > 0 && *room > 0 {
		n := min(len(waiting), takenTogether*len(models.EntryID{}))
		var some []text
		err := store.Reader(ctx).Model(&models.Entry{}).Select("id, metadata").
			Where("org_id = ? AND id IN ?", orgID, idsOf(waiting[:n])).Scan(&some).Error
		if err != nil {
			return nil, nil, err
		}
		for _, t := range some {
			*room -= len(t.Metadata)
		}
		taken, waiting = append(taken, some...), waiting[n:]
	}
	return taken, waiting, nil
}

// cut makes a run of some texts, of which it leaves those that are too many for one.
func cut(orgID int64, texts []text) (r newRun, left []text) {
	slices.SortFunc(texts, func(a, b text) int { return a.ID.Compare(b.ID) })
	r.run = run{OrgID: orgID, State: whole, FirstID: texts[0].ID}
	length := 0
	for _, t := range texts {
		length += len(t.Metadata)
	}
	g := grams{short: make([]uint64, 0, min(length/4, mostOfRun))}
	length = blockBytes
	for i, t := range texts {
		if len(g.short)+longGram*len(g.long) > mostOfRun {
			left = texts[i:]
			break
		}
		if length >= blockBytes || len(r.has[len(r.has)-1].IDs) == blockEntries*len(t.ID) {
			g.begin(len(r.has))
			r.has = append(r.has, block{OrgID: orgID, Block: int64(len(r.has)), FirstID: t.ID})
			length = 0
		}
		b := &r.has[len(r.has)-1]
		r.LastID, b.LastID, b.IDs = t.ID, t.ID, append(b.IDs, t.ID[:]...)
		AnyLeaf(Value(t.Metadata), nil, func(leaf string) bool {
			length += len(leaf)
			g.cut(models.Fold(leaf))
			return false
		})
	}
	r.EndBlock = int64(len(r.has))
	for blocks := len(r.has); blocks >= mergedRuns; blocks /= mergedRuns {
		r.Level++
	}
	w := pageWriter{orgID: orgID}
	g.each(w.add)
	w.flush()
	r.pages = w.pages
	return r, left
}

// store gives a run and its blocks the numbers that come next.
func (r newRun) store(tx *gorm.DB) error {
	number, first, err := numbers(tx, r.OrgID, 1, len(r.has))
	if err != nil {
		return err
	}
	r.Run, r.FirstBlock, r.EndBlock = number, first, first+r.EndBlock
	for i := range r.has {
		r.has[i].Block = first + int64(i)
	}
	for i := range r.pages {
		r.pages[i].Run = number
	}
	if err := tx.Create(&r.run).Error; err != nil {
		return err
	}
	if err := tx.CreateInBatches(r.has, rowsAtATime).Error; err != nil {
		return err
	}
	return storePages(tx, r.pages)
}

// numbers takes the next numbers of runs and blocks, of which it answers the first; errRunsChanged where the organization
// has no index any more.
func numbers(tx *gorm.DB, orgID int64, runs, blocks int) (firstRun, firstBlock int64, err error) {
	err = tx.Raw("UPDATE audit_metadata_heads SET next_run = next_run + ?, next_block = next_block + ? WHERE org_id = ? RETURNING next_run - ?, next_block - ?",
		runs, blocks, orgID, runs, blocks).Row().Scan(&firstRun, &firstBlock)
	if errors.Is(err, sql.ErrNoRows) {
		err = errRunsChanged
	}
	return firstRun, firstBlock, err
}

func storePages(tx *gorm.DB, pages []page) error {
	if len(pages) == 0 {
		return nil
	}
	return tx.CreateInBatches(pages, rowsAtATime).Error
}

// idsOf reads IDs that stand one behind the other.
func idsOf(all []byte) (ids []models.EntryID) {
	for one := range slices.Chunk(all, len(models.EntryID{})) {
		ids = append(ids, models.EntryID(one))
	}
	return ids
}
