// Package counts keeps how many entries occurred when, so that a page says it of millions of them without reading them.
//
// The counts are buckets of a quarter of an hour, which the days of every zone consist of: of all entries of an
// organization, of those of an action, and of those of an actor. Who follows the log adds each entry once (Add), also one
// that occurred long ago; so they are exact up to the place of that follower, and Of reads what is behind it of the
// entries. What the counts do not know, Of counts entry by entry, up to a bound.
package counts

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/auditlogs/auditlogs/app/audit/event"
	"github.com/auditlogs/auditlogs/models"
)

// ConsumerName is what the place of the counts in the log is kept under.
const ConsumerName = "counts"

// subject is what a count is of: of all entries where both are empty, otherwise of an action or an actor.
type subject struct{ Action, ActorID string }

// subjectsOf are those an entry counts for.
func subjectsOf(e *models.Entry) []subject {
	subjects := []subject{{}, {Action: e.Action}, {ActorID: e.ActorID}}
	if e.OnBehalfOf != nil && e.OnBehalfOf.ID != "" && e.OnBehalfOf.ID != e.ActorID {
		subjects = append(subjects, subject{ActorID: e.OnBehalfOf.ID})
	}
	return subjects
}

// count is a row.
type count struct {
	OrgID     int64
	Action    string
	ActorID   string
	Quarter   models.Quarter
	Succeeded int64
	Failed    int64
}

func (count) TableName() string { return "audit_counts" }

func (c count) compare(d count) int {
	return cmp.Or(cmp.Compare(c.OrgID, d.OrgID), cmp.Compare(c.Action, d.Action), cmp.Compare(c.ActorID, d.ActorID), cmp.Compare(c.Quarter, d.Quarter))
}

// rowsAtATime keeps a statement short of the parameters it may have.
const rowsAtATime = 500

// Add counts entries in tx. They have their Parts.
func Add(tx *gorm.DB, entries []models.Entry) error {
	added := map[count]*count{}
	for i := range entries {
		e := &entries[i]
		for _, of := range subjectsOf(e) {
			key := count{OrgID: e.OrgID, Action: of.Action, ActorID: of.ActorID, Quarter: models.QuarterOf(e.OccurredAt)}
			row, found := added[key]
			if !found {
				row = &count{key.OrgID, key.Action, key.ActorID, key.Quarter, 0, 0}
				added[key] = row
			}
			if succeeded(e) {
				row.Succeeded++
			} else {
				row.Failed++
			}
		}
	}
	rows := slices.SortedFunc(maps.Values(added), func(a, b *count) int { return a.compare(*b) })
	for some := range slices.Chunk(rows, rowsAtATime) {
		err := tx.Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "org_id"}, {Name: "action"}, {Name: "actor_id"}, {Name: "quarter"}},
			DoUpdates: clause.Assignments(map[string]any{
				"succeeded": gorm.Expr("audit_counts.succeeded + excluded.succeeded"),
				"failed":    gorm.Expr("audit_counts.failed + excluded.failed"),
			}),
		}).Create(&some).Error
		if err != nil {
			return fmt.Errorf("count entries: %w", err)
		}
	}
	return nil
}

func succeeded(e *models.Entry) bool { return e.Outcome == "" || e.Outcome == event.OutcomeSuccess }
