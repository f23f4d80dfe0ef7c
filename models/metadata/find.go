package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/following"
)

// Question is what entries are looked for by.
type Question struct {
	// Terms must all hold. Of each, one of some values stands in one text of the metadata: its parts, which are folded.
	Terms [][][]string

	From, To    models.EntryID // of entries from one to before the other
	NewestFirst bool           // which are looked for first
	Most        int            // how many entries are answered at most
}

// Indexable reports whether the index can tell anything of a term's values.
func Indexable(values [][]string) bool {
	return len(values) > 0 && !slices.ContainsFunc(values, func(parts []string) bool { return len(keysOf(parts)) == 0 })
}

// Candidates are entries that may answer a question.
type Candidates struct {
	IDs []models.EntryID // in the order asked for
	// All reports that no others may answer. Otherwise none may before Until, in that order; the entry Until itself may.
	All   bool
	Until models.EntryID
}

// mostUnread is how many entries, of all organizations, the index may be behind.
const mostUnread = 5000

// Find looks for candidates. worthwhile is false where the index is too far behind, or where so many entries are
// candidates that reading the log as it lies is as good.
func Find(ctx context.Context, store *models.Store, org models.Organization, q Question) (found Candidates, worthwhile bool, err error) {
	f := &finding{store: store, orgID: org.ID, question: q}
	if worthwhile, err = f.unread(ctx); worthwhile && err == nil {
		err = store.Snapshot(ctx, func(db *gorm.DB) error {
			f.db = db
			found, worthwhile, err = f.find()
			return err
		})
	}
	if err != nil {
		return Candidates{}, false, fmt.Errorf("ask the index of metadata of %s: %w", org.Slug, err)
	}
	return found, worthwhile, nil
}

// finding is a question on its way.
type finding struct {
	store    *models.Store
	db       *gorm.DB
	orgID    int64
	question Question
	ids      []models.EntryID
	until    *models.EntryID // nil where nothing is left out
}

// compare puts IDs in the order asked for.
func (f *finding) compare(a, b models.EntryID) int {
	if f.question.NewestFirst {
		return b.Compare(a)
	}
	return a.Compare(b)
}

// leaveOut says that entries from one on may be missing.
func (f *finding) leaveOut(from models.EntryID) {
	if f.until == nil || f.compare(from, *f.until) < 0 {
		f.until = &from
	}
}

func (f *finding) find() (found Candidates, worthwhile bool, err error) {
	if err := f.waiting(); err != nil {
		return found, false, err
	}
	if worthwhile, err = f.search(); err != nil || !worthwhile {
		return found, false, err
	}
	q := f.question
	slices.SortFunc(f.ids, f.compare)
	for _, id := range slices.Compact(f.ids) {
		if id.Compare(q.From) < 0 || id.Compare(q.To) >= 0 {
			continue
		}
		if len(found.IDs) == q.Most {
			f.leaveOut(id)
		}
		if f.until != nil && f.compare(id, *f.until) >= 0 {
			break
		}
		found.IDs = append(found.IDs, id)
	}
	if f.until == nil {
		found.All = true
		return found, true, nil
	}
	found.Until = *f.until
	first := q.From
	if q.NewestFirst {
		first = q.To
	}
	return found, f.compare(*f.until, first) > 0, nil
}

// unread takes the entries that the index does not hold, as the log is now. few is false where there are too many.
func (f *finding) unread(ctx context.Context) (few bool, err error) {
	place, joined, err := following.PlaceOf(f.store.Reader(ctx), ConsumerName)
	if err != nil || !joined {
		return false, err
	}
	batch, err := following.New(f.store).Read(ctx, place, following.Needs{}, mostUnread)
	if errors.Is(err, following.ErrPlaceGone) || errors.Is(err, following.ErrElsewhere) {
		return false, nil // until whoever follows begins anew, or the database is migrated
	}
	for _, e := range batch.Entries {
		if e.OrgID == f.orgID {
			f.ids = append(f.ids, e.ID)
		}
	}
	return !batch.More, err
}

// waiting takes the entries that the index knows and that are in no run.
func (f *finding) waiting() error {
	var heads []head
	err := f.db.Where("org_id = ?", f.orgID).Find(&heads).Error
	for _, h := range heads {
		f.ids = append(f.ids, idsOf(h.Waiting)...)
	}
	return err
}

// search takes the entries of the blocks that may answer, of some runs after the other until these are enough.
func (f *finding) search() (worthwhile bool, err error) {
	q := f.question
	first := "first_id"
	if q.NewestFirst {
		first = "last_id DESC"
	}
	var runs []run
	err = f.db.Where("org_id = ? AND state = ? AND first_id < ? AND last_id >= ?", f.orgID, whole, q.To, q.From).Order(first).Find(&runs).Error
	if err != nil {
		return false, err
	}
	most := q.Most/blockEntries + 1 // blocks
	for together := int64(mostBlocks); len(runs) > 0; together *= 2 {
		n, blocks := 0, int64(0)
		for n == 0 || n < len(runs) && blocks+runs[n].blocks() <= together {
			blocks += runs[n].blocks()
			n++
		}
		numbers, err := f.numbers(runs[:n])
		if err != nil {
			return false, err
		}
		if len(numbers) > max(int(blocks/4), 4*most) {
			return false, nil
		}
		found, err := f.blocks(numbers)
		if err != nil {
			return false, err
		}
		if len(found) > most {
			f.leaveOut(f.begin(found[most].FirstID, found[most].LastID))
			found = found[:most]
		}
		if err := f.take(found); err != nil {
			return false, err
		}
		if runs = runs[n:]; len(runs) > 0 && (f.until != nil || len(f.ids) >= q.Most) {
			f.leaveOut(f.begin(runs[0].FirstID, runs[0].LastID))
			break
		}
	}
	return true, nil
}

// blocks are those of some numbers that have entries asked for, in their order, without their IDs.
func (f *finding) blocks(numbers []int64) (found []block, err error) {
	q := f.question
	err = f.among(numbers, "block", "first_id", "last_id").Find(&found).Error
	found = slices.DeleteFunc(found, func(b block) bool { return b.FirstID.Compare(q.To) >= 0 || b.LastID.Compare(q.From) < 0 })
	slices.SortFunc(found, func(a, b block) int { return f.compare(f.begin(a.FirstID, a.LastID), f.begin(b.FirstID, b.LastID)) })
	return found, err
}

// begin is which of the first and the last of some entries comes first in the order asked for.
func (f *finding) begin(first, last models.EntryID) models.EntryID {
	if f.question.NewestFirst {
		return last
	}
	return first
}

// take takes the entries of some blocks.
func (f *finding) take(blocks []block) error {
	numbers := make([]int64, len(blocks))
	for i := range blocks {
		numbers[i] = blocks[i].Block
	}
	var found []block
	err := f.among(numbers, "ids").Find(&found).Error
	for _, b := range found {
		f.ids = append(f.ids, idsOf(b.IDs)...)
	}
	return err
}

// among are the blocks of some numbers.
func (f *finding) among(numbers []int64, columns ...string) *gorm.DB {
	among, list := "block IN (SELECT value FROM json_each(?))", ""
	if f.store.Dialect() == "sqlite" {
		text, _ := json.Marshal(numbers) // numbers cannot fail
		list = string(text)
	} else {
		texts := make([]string, len(numbers))
		for i, n := range numbers {
			texts[i] = strconv.FormatInt(n, 10)
		}
		among, list = "block = ANY (?::bigint[])", models.PostgresArray(texts)
	}
	return f.db.Select(columns).Where("org_id = ? AND "+among, f.orgID, list)
}

// numbers are those of the blocks of some runs in which all terms may hold.
func (f *finding) numbers(runs []run) ([]int64, error) {
	var all map[int64]bool
	for _, values := range f.question.Terms {
		any := map[int64]bool{}
		for _, parts := range values {
			var these map[int64]bool
			for _, within := range keysOf(parts) {
				found, err := f.holding(runs, within, these)
				if err != nil {
					return nil, err
				}
				if these = found; len(these) == 0 {
					break
				}
			}
			maps.Copy(any, these)
		}
		if all == nil {
			all = any
			continue
		}
		maps.DeleteFunc(all, func(n int64, _ bool) bool { return !any[n] })
	}
	return slices.Sorted(maps.Keys(all)), nil
}

// holding are the blocks of some runs, of those among, in which grams within some keys stand: in the pages that begin
// there, and in that before the first of them. nil does not restrict.
func (f *finding) holding(runs []run, within keys, among map[int64]bool) (map[int64]bool, error) {
	numbers, first := make([]int64, 0, len(runs)), map[int64]int64{}
	for _, r := range runs {
		numbers, first[r.Run] = append(numbers, r.Run), r.FirstBlock
	}
	rows, err := f.db.Raw(`SELECT run, (SELECT data FROM audit_metadata_pages AS ahead
	WHERE ahead.org_id = ? AND ahead.run = runs.run AND ahead.key < ? ORDER BY ahead.key DESC LIMIT 1) AS data
FROM audit_metadata_runs AS runs WHERE org_id = ? AND run IN ?
UNION ALL SELECT run, data FROM audit_metadata_pages WHERE org_id = ? AND run IN ? AND key >= ? AND key < ?`,
		f.orgID, []byte(within.from), f.orgID, numbers, f.orgID, numbers, []byte(within.from), []byte(within.to)).Rows()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := map[int64]bool{}
	for rows.Next() {
		var number int64
		var data []byte
		if err := rows.Scan(&number, &data); err != nil {
			return nil, err
		}
		err := eachList(data, func(gram string, blocks []uint64) {
			if key := gram + separator; key < within.from || key >= within.to {
				return
			}
			for _, b := range blocks {
				if n := first[number] + int64(b); among == nil || among[n] {
					found[n] = true
				}
			}
		})
		if err != nil {
			return nil, fmt.Errorf("run %d: %w", number, err)
		}
	}
	return found, rows.Err()
}
