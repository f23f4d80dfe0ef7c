package models

import (
	"context"
	"database/sql"
	"strings"

	"gorm.io/gorm"
)

// sqlite is what SQLite does its own way.
type sqlite struct{}

func (sqlite) name() string { return "sqlite" }

// isolation is left to SQLite, which knows one.
func (sqlite) isolation() []*sql.TxOptions { return nil }

func (sqlite) snapshot() []*sql.TxOptions { return nil }

func (sqlite) someOf(query string) string { return "rowid IN (SELECT rowid FROM " + query + ")" }

// deleteOldest counts them in the index, so that the transaction others wait for is as short as it should be.
func (sqlite) deleteOldest(ctx context.Context, e *ExpiredEntries, limit int) (deleted int, err error) {
	var next ExpiredEntries
	err = e.store.Transaction(ctx, func(tx *gorm.DB) error {
		end, err := e.nth(tx, limit)
		if err != nil {
			return err
		}
		bound := "id <= ?" // one: of two, SQLite takes the first and reads all that lies below it
		if end == e.before {
			bound = "id < ?"
		}
		gone := tx.Where("org_id = ? AND id > ? AND "+bound, e.cleanup.OrgID, e.upTo, end).Delete(&Entry{})
		if gone.Error != nil {
			return gone.Error
		}
		deleted = int(gone.RowsAffected)
		for _, table := range []string{"audit_related", "audit_on_behalf_of"} {
			err := tx.Exec("DELETE FROM "+table+" WHERE org_id = ? AND entry_id > ? AND entry_"+bound, e.cleanup.OrgID, e.upTo, end).Error
			if err != nil {
				return err
			}
		}
		if next = e.forward(end, deleted); deleted == 0 {
			return nil
		}
		return saveCleanup(tx, next.cleanup)
	})
	if err != nil {
		return 0, err
	}
	*e = next
	return deleted, nil
}

func (sqlite) idAmong(ids []EntryID) condition {
	c := condition{sql: "id IN (?" + strings.Repeat(", ?", len(ids)-1) + ")"}
	for i := range ids {
		c.args = append(c.args, ids[i])
	}
	return c
}
