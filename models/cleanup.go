package models

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// Cleanup is the last deletion of expired entries of an organization, and where the next goes on.
type Cleanup struct {
	OrgID       int64 `gorm:"primaryKey;autoIncrement:false"`
	StartedAt   Micros
	FinishedAt  Micros  // earlier than StartedAt while it runs, or after it was cut off
	Deleted     int64   // entries it deleted so far
	SucceededAt Micros  // when one last ended without an error; zero for never
	Error       string  // why it failed, in words for an admin; empty when it did not
	CleanedTo   EntryID // entries up to this ID are gone, those recorded since aside
}

func (Cleanup) TableName() string { return "audit_cleanups" }

// Unfinished says that the run was cut off, or still goes on.
func (c Cleanup) Unfinished() bool { return c.FinishedAt < c.StartedAt }

// OrganizationIDs lists all organizations, deleted ones too, in pages: those after the ID after, by
// ID, at most limit. It asks the writing pool and so sees what was committed last.
func (s *Store) OrganizationIDs(ctx context.Context, after int64, limit int) ([]int64, error) {
	var ids []int64
	err := s.Writer(ctx).Model(&Organization{}).Where("id > ?", after).Order("id").Limit(limit).Pluck("id", &ids).Error
	if err != nil {
		return nil, fmt.Errorf("list organizations: %w", err)
	}
	return ids, nil
}

// BeginCleanup answers what a clean-up of an organization at now starts from: the organization, and
// the clean-up that was cut off, or a new one that begins at now. It writes nothing.
//
// now must have been read before the call: an admin who raises retention meanwhile then keeps all
// that had not expired at now, and a bound computed from both never deletes more.
func (s *Store) BeginCleanup(ctx context.Context, orgID int64, now time.Time) (Organization, Cleanup, error) {
	var org Organization
	err := s.Writer(ctx).Where("id = ?", orgID).Take(&org).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		err = ErrNotFound
	}
	if err != nil {
		return org, Cleanup{}, fmt.Errorf("read organization %d: %w", orgID, err)
	}
	var cleanup Cleanup
	if err := s.Writer(ctx).Where("org_id = ?", orgID).Limit(1).Find(&cleanup).Error; err != nil {
		return org, cleanup, fmt.Errorf("read the last clean-up of %q: %w", org.Slug, err)
	}
	if !cleanup.Unfinished() {
		cleanup.StartedAt, cleanup.Deleted = MicrosOf(now), 0
	}
	cleanup.OrgID = orgID
	return org, cleanup, nil
}

// CleanupBatch is how much one transaction deletes.
type CleanupBatch struct {
	Limit int // entries at most; about as many where Share is set
	Share int // entries at a time, about; zero for all of them at once
	// Rest is called between two shares with how long the one before took; nil for no rest.
	Rest func(ctx context.Context, took time.Duration)
}

// DeleteEntriesBetween deletes the oldest entries of c's organization with after < ID < before, as
// many as batch allows, and notes the progress in the same transaction. It answers c brought forward,
// and the ID up to which the range is gone: before itself when nothing is left. On an error nothing was
// deleted.
//
// It deletes by range and the caller carries the answer on as the next after: starting at the
// oldest again and again would make PostgreSQL read all that was deleted before.
func (s *Store) DeleteEntriesBetween(ctx context.Context, c Cleanup, after, before EntryID, batch CleanupBatch) (Cleanup, EntryID, error) {
	progress, upTo := c, after
	err := s.deleting(ctx, func(tx *gorm.DB) error {
		expired := expiredEntries{tx: tx, orgID: c.OrgID, upTo: after, before: before}
		deleted := 0
		for {
			began := time.Now()
			n, err := expired.deleteSome(batch.Limit-deleted, batch.Share)
			if err != nil {
				return err
			}
			if deleted += n; deleted >= batch.Limit || expired.upTo == before {
				break
			}
			if batch.Rest != nil {
				batch.Rest(ctx, time.Since(began))
			}
		}
		if upTo = expired.upTo; deleted == 0 {
			return nil
		}
		progress.Deleted += int64(deleted)
		if after == c.CleanedTo {
			progress.CleanedTo = upTo // the range goes on where all is known to be gone
		}
		return saveCleanup(tx, progress)
	})
	if err != nil {
		return c, after, fmt.Errorf("delete expired entries: %w", err)
	}
	return progress, upTo, nil
}

// expiredEntries are those of an organization with upTo < ID < before, of which the oldest are deleted
// step by step.
type expiredEntries struct {
	tx           *gorm.DB
	orgID        int64
	upTo, before EntryID
	span         time.Duration // in which the next share is expected to have occurred; zero before that is known
}

const (
	// firstShare is how many entries at most tell how many there are in a time.
	firstShare = 1000
	// widestShare is how many times as long as the one before a share is at most: entries may come thicker
	// again.
	widestShare = 4
)

// deleteSome deletes the oldest, at most limit or about share, and says how many.
//
// Only the first share is counted in the index. On PostgreSQL that reads the entries themselves where
// others of their pages are gone, which takes as long as deleting them; so later ones are as long in time
// as the one before says.
func (e *expiredEntries) deleteSome(limit, share int) (deleted int, err error) {
	begin, end := e.upTo, e.before
	switch {
	case share == 0:
		end, err = e.nth(limit)
	case e.span == 0:
		if begin, err = e.nth(1); err == nil {
			end, err = e.nth(min(limit, share, firstShare))
		}
	default:
		if next := FirstEntryID(MicrosOf(begin.Occurred().Add(e.span))); bytes.Compare(next[:], end[:]) < 0 {
			end = next
		}
	}
	if err != nil {
		return 0, err
	}
	// One upper bound: of two, SQLite takes the first and reads all that lies below it.
	bound := "id <= ?"
	if end == e.before {
		bound = "id < ?"
	}
	gone := e.tx.Where("org_id = ? AND id > ? AND "+bound, e.orgID, e.upTo, end).Delete(&Entry{})
	if gone.Error != nil {
		return 0, gone.Error
	}
	wider := min(float64(share)/float64(max(gone.RowsAffected, 1)), widestShare)
	e.span = max(time.Duration(float64(end.Occurred().Sub(begin.Occurred()))*wider), time.Millisecond)
	e.upTo = end
	return int(gone.RowsAffected), nil
}

// nth is the n-th of the entries, before where there are fewer.
func (e *expiredEntries) nth(n int) (EntryID, error) {
	var found []EntryID
	err := e.tx.Model(&Entry{}).Where("org_id = ? AND id > ? AND id < ?", e.orgID, e.upTo, e.before).
		Order("id").Offset(n-1).Limit(1).Pluck("id", &found).Error
	if len(found) == 0 {
		return e.before, err
	}
	return found[0], err
}

// deleting runs fn in one transaction. On PostgreSQL it does not wait for the disk: a crash may bring
// back what was deleted last, together with the note that it was deleted, and the next clean-up deletes
// it again.
func (s *Store) deleting(ctx context.Context, fn func(tx *gorm.DB) error) error {
	return s.Transaction(ctx, func(tx *gorm.DB) error {
		if s.Dialect() == "postgres" {
			if err := tx.Exec("SET LOCAL synchronous_commit = off").Error; err != nil {
				return err
			}
		}
		return fn(tx)
	})
}

// SaveCleanup keeps the state of a clean-up. On PostgreSQL all that was deleted before is on the disk
// then as well.
func (s *Store) SaveCleanup(ctx context.Context, c Cleanup) error {
	if err := saveCleanup(s.Writer(ctx), c); err != nil {
		return fmt.Errorf("keep the result of the clean-up: %w", err)
	}
	return nil
}

// SaveCleanupFailure keeps that a clean-up could not even begin: when, and why in words for an
// admin. What is known of the ones before stays.
func (s *Store) SaveCleanupFailure(ctx context.Context, orgID int64, at time.Time, reason string) error {
	failed := Cleanup{OrgID: orgID, StartedAt: MicrosOf(at), FinishedAt: MicrosOf(at), Error: reason}
	if err := upsertCleanup(s.Writer(ctx), failed, "started_at", "finished_at", "error"); err != nil {
		return fmt.Errorf("keep the failure of the clean-up: %w", err)
	}
	return nil
}

func saveCleanup(tx *gorm.DB, c Cleanup) error {
	return upsertCleanup(tx, c, "started_at", "finished_at", "deleted", "succeeded_at", "error", "cleaned_to")
}

func upsertCleanup(tx *gorm.DB, c Cleanup, columns ...string) error {
	return tx.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "org_id"}},
		DoUpdates: clause.AssignmentColumns(columns),
	}).Create(&c).Error
}

// DeleteMonthsBefore deletes at most limit rows a table of what search and the User filter look
// through, of months that ended before t. Where it answers less than limit, nothing is left.
func (s *Store) DeleteMonthsBefore(ctx context.Context, orgID int64, t Micros, limit int) (deleted int, err error) {
	return s.deleteKnown(ctx, orgID, MonthOf(t), limit)
}

func (s *Store) deleteKnown(ctx context.Context, orgID int64, beforeMonth, limit int) (deleted int, err error) {
	err = s.deleting(ctx, func(tx *gorm.DB) error {
		for _, table := range []string{"audit_entities", "audit_actors"} {
			some := s.dialect.someOf(table + " WHERE org_id = ? AND month < ? ORDER BY month LIMIT ?")
			gone := tx.Exec("DELETE FROM "+table+" WHERE "+some, orgID, beforeMonth, limit)
			if gone.Error != nil {
				return fmt.Errorf("delete expired rows of %s: %w", table, gone.Error)
			}
			deleted += int(gone.RowsAffected)
		}
		return nil
	})
	return deleted, err
}

// DeleteRemains deletes at most limit rows a table of what a deleted organization leaves behind
// once its last entry has expired. Where it answers less than limit, nothing is left. The
// organization itself stays, so that its slug is never given away again, and so does its settings history.
//
// Entries at or after keptSince stop it: clocks differ, and the last one may have been recorded a
// little ahead of its time.
func (s *Store) DeleteRemains(ctx context.Context, orgID int64, keptSince Micros, limit int) (deleted int, err error) {
	var kept []EntryID
	err = s.Writer(ctx).Model(&Entry{}).Where("org_id = ? AND id >= ?", orgID, FirstEntryID(keptSince)).
		Order("id").Limit(1).Pluck("id", &kept).Error
	if err != nil {
		return deleted, fmt.Errorf("look for remaining entries: %w", err)
	}
	if len(kept) > 0 {
		return 0, nil
	}
	const everyMonth = 1 << 30
	if deleted, err = s.deleteKnown(ctx, orgID, everyMonth, limit); err != nil {
		return deleted, err
	}
	for _, table := range []string{"audit_resource_links", "audit_invitations", "audit_memberships"} {
		if err := s.Writer(ctx).Exec(`DELETE FROM `+table+` WHERE org_id = ?`, orgID).Error; err != nil {
			return deleted, fmt.Errorf("delete the rows of %s: %w", table, err)
		}
	}
	return deleted, nil
}

// DeleteExpiredAccess deletes at most limit each of the sessions, invitations and reset links that
// cannot be used any more at now, and says whether there may be more.
func (s *Store) DeleteExpiredAccess(ctx context.Context, now time.Time, limit int) (more bool, err error) {
	for _, table := range []string{"audit_sessions", "audit_invitations", "audit_password_resets"} {
		deleted := s.Writer(ctx).Exec(`DELETE FROM `+table+` WHERE token_hash IN (
			SELECT token_hash FROM `+table+` WHERE expires_at <= ? LIMIT ?)`, MicrosOf(now), limit)
		if deleted.Error != nil {
			return false, fmt.Errorf("delete expired rows of %s: %w", table, deleted.Error)
		}
		more = more || deleted.RowsAffected == int64(limit)
	}
	return more, nil
}

// DeleteExpiredKeys forgets at most limit each of the event keys and idempotency keys that have
// expired at now, and says whether there may be more.
func (s *Store) DeleteExpiredKeys(ctx context.Context, now time.Time, limit int) (more bool, err error) {
	for _, table := range []string{"audit_event_keys", "audit_idempotency_keys"} {
		// The time stands there twice: a key that is taken anew while this waits for it stays.
		deleted := s.Writer(ctx).Exec(`DELETE FROM `+table+` WHERE expires_at <= ? AND (org_id, key_hash) IN (
			SELECT org_id, key_hash FROM `+table+` WHERE expires_at <= ? LIMIT ?)`, MicrosOf(now), MicrosOf(now), limit)
		if deleted.Error != nil {
			return false, fmt.Errorf("delete expired rows of %s: %w", table, deleted.Error)
		}
		more = more || deleted.RowsAffected == int64(limit)
	}
	return more, nil
}
