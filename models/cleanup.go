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

	// counting reports whether this is the clean-up of its row, in which the database counts what is Deleted.
	counting bool
}

func (Cleanup) TableName() string { return "audit_cleanups" }

// Unfinished reports whether the run was cut off, or still goes on.
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

// BeginCleanup returns what a clean-up of an organization at now starts from: the organization, and
// the clean-up that was cut off, or a new one that begins at now. It writes nothing.
//
// now must have been read before the call: an admin who raises retention meanwhile then keeps all
// that had not expired at now, and a bound computed from both never deletes more. A shorter retention
// must be settled before it lets anything be deleted: an admin may be undoing it.
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

// ExpiredEntries are entries of an organization that a clean-up deletes, the oldest first.
//
// It deletes by range and goes on where the range before ended: starting at the oldest again and again
// would make PostgreSQL read all that was deleted before.
type ExpiredEntries struct {
	store        *Store
	cleanup      Cleanup
	upTo, before EntryID // what is left has upTo < ID < before
	density      density // where it is known
}

// ExpiredEntries are those of c's organization with after < ID < before.
func (s *Store) ExpiredEntries(c Cleanup, after, before EntryID) *ExpiredEntries {
	return &ExpiredEntries{store: s, cleanup: c, upTo: after, before: before}
}

// Cleanup is the clean-up, brought forward by what was deleted.
func (e *ExpiredEntries) Cleanup() Cleanup { return e.cleanup }

// DeleteBatch deletes the oldest of those that are left, at most limit on SQLite and about limit on
// PostgreSQL, and reports whether more are left. On SQLite a batch is one transaction, on PostgreSQL up to
// StepsOfABatch, some of which may be done after an error. Each also keeps in the clean-up what it deleted.
func (e *ExpiredEntries) DeleteBatch(ctx context.Context, limit int) (more bool, err error) {
	for deleted := 0; e.upTo != e.before && deleted <= limit/2; {
		n, err := e.store.dialect.deleteOldest(ctx, e, limit-deleted)
		if err != nil {
			return true, fmt.Errorf("delete expired entries: %w", err)
		}
		deleted += n
	}
	return e.upTo != e.before, nil
}

// forward is the state once so many entries up to end are gone.
func (e *ExpiredEntries) forward(end EntryID, deleted int) ExpiredEntries {
	next := *e
	next.upTo = end
	next.cleanup.Deleted += int64(deleted)
	if e.contiguous() {
		next.cleanup.CleanedTo = end
	}
	return next
}

// contiguous reports whether the range goes on where all is known to be gone.
func (e *ExpiredEntries) contiguous() bool { return e.upTo == e.cleanup.CleanedTo }

// nth is the n-th of those that are left, before where there are fewer.
func (e *ExpiredEntries) nth(tx *gorm.DB, n int) (EntryID, error) {
	var found []EntryID
	err := tx.Model(&Entry{}).Where("org_id = ? AND id > ? AND id < ?", e.cleanup.OrgID, e.upTo, e.before).
		Order("id").Offset(n-1).Limit(1).Pluck("id", &found).Error
	if len(found) == 0 {
		return e.before, err
	}
	return found[0], err
}

// SaveCleanup keeps the state of a clean-up.
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
	columns := []string{"started_at", "finished_at", "succeeded_at", "error", "cleaned_to"}
	if !c.counting {
		columns = append(columns, "deleted")
	}
	return upsertCleanup(tx, c, columns...)
}

func upsertCleanup(tx *gorm.DB, c Cleanup, columns ...string) error {
	return tx.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "org_id"}},
		DoUpdates: clause.AssignmentColumns(columns),
	}).Create(&c).Error
}

// DeleteMonthsBefore deletes at most limit rows a table of what search and the User filter look
// through, of months that ended before t, of the counts, of quarters of an hour, and of the index of metadata, of entries.
// Where it returns less than limit, nothing is left.
func (s *Store) DeleteMonthsBefore(ctx context.Context, orgID int64, t Micros, limit int) (deleted int, err error) {
	return s.deleteKnown(ctx, orgID, MonthOf(t), QuarterOf(t), FirstEntryID(t), limit)
}

func (s *Store) deleteKnown(ctx context.Context, orgID int64, month int, quarter Quarter, before EntryID, limit int) (deleted int, err error) {
	for table, period := range map[string]string{
		"audit_entities": "month", "audit_actors": "month", "audit_native_actions": "month", "audit_counts": "quarter",
	} {
		some := s.dialect.someOf(table + " WHERE org_id = @org AND " + period + " < @" + period + " ORDER BY " + period + " LIMIT @limit")
		gone := s.Writer(ctx).Exec("DELETE FROM "+table+" WHERE "+some,
			map[string]any{"org": orgID, "month": month, "quarter": quarter, "limit": limit})
		if gone.Error != nil {
			return deleted, fmt.Errorf("delete expired rows of %s: %w", table, gone.Error)
		}
		deleted += int(gone.RowsAffected)
	}
	indexed, err := s.deleteIndexed(ctx, orgID, before, limit)
	return deleted + indexed, err
}

// deleteIndexed deletes of the index of metadata the blocks whose entries lie before an ID, and the runs with nothing but
// such entries; those that others are being built of stay with them.
func (s *Store) deleteIndexed(ctx context.Context, orgID int64, before EntryID, limit int) (deleted int, err error) {
	const gone = 2
	for _, statement := range []string{
		"DELETE FROM audit_metadata_blocks WHERE " +
			s.dialect.someOf("audit_metadata_blocks WHERE org_id = @org AND last_id < @before ORDER BY last_id LIMIT @limit"),
		"UPDATE audit_metadata_runs SET state = @gone WHERE org_id = @org AND last_id < @before AND state <> @gone AND (merged_into = 0" +
			" OR merged_into IN (SELECT run FROM audit_metadata_runs WHERE org_id = @org AND last_id < @before))",
		"DELETE FROM audit_metadata_pages WHERE " + s.dialect.someOf("audit_metadata_pages WHERE org_id = @org"+
			" AND run IN (SELECT run FROM audit_metadata_runs WHERE org_id = @org AND state = @gone) LIMIT @limit"),
		"DELETE FROM audit_metadata_runs WHERE " + s.dialect.someOf("audit_metadata_runs AS run WHERE org_id = @org AND state = @gone"+
			" AND NOT EXISTS (SELECT 1 FROM audit_metadata_pages AS page WHERE page.org_id = @org AND page.run = run.run) LIMIT @limit"),
	} {
		result := s.Writer(ctx).Exec(statement, map[string]any{"org": orgID, "before": before, "gone": gone, "limit": limit})
		if result.Error != nil {
			return deleted, fmt.Errorf("delete expired parts of the index of metadata: %w", result.Error)
		}
		deleted += int(result.RowsAffected)
	}
	return deleted, nil
}

// DeleteAccessLogBefore deletes at most limit rows of an organization's access log, of minutes before t. Where it
// returns less than limit, nothing is left.
func (s *Store) DeleteAccessLogBefore(ctx context.Context, orgID int64, t time.Time, limit int) (deleted int, err error) {
	some := s.dialect.someOf("audit_access_log WHERE org_id = @org AND minute < @before ORDER BY minute LIMIT @limit")
	gone := s.Writer(ctx).Exec("DELETE FROM audit_access_log WHERE "+some, map[string]any{"org": orgID, "before": MicrosOf(t), "limit": limit})
	if gone.Error != nil {
		return 0, fmt.Errorf("delete expired rows of audit_access_log: %w", gone.Error)
	}
	return int(gone.RowsAffected), nil
}

// DeleteRemains deletes at most limit rows a table of what a deleted organization leaves behind
// once its last entry has expired, and its memberships, too, once it is Gone at now. Where it answers
// less than limit, nothing is left. The organization itself stays, so that its slug is never given away
// again, and so does its settings history.
//
// Entries that are kept stop it: clocks differ, and the last one may have been recorded a little ahead
// of its time.
func (s *Store) DeleteRemains(ctx context.Context, org Organization, now time.Time, limit int) (deleted int, err error) {
	var kept []EntryID
	err = s.Writer(ctx).Model(&Entry{}).Where("org_id = ? AND id >= ?", org.ID, FirstEntryID(org.KeptSince(now))).
		Order("id").Limit(1).Pluck("id", &kept).Error
	if err != nil {
		return deleted, fmt.Errorf("look for remaining entries: %w", err)
	}
	if len(kept) > 0 {
		return 0, nil
	}
	const every = 1 << 30
	if deleted, err = s.deleteKnown(ctx, org.ID, every, every, EntryID(bytes.Repeat([]byte{0xff}, len(EntryID{}))), limit); err != nil {
		return deleted, err
	}
	tables := []string{"audit_resource_links", "audit_invitations"}
	if deleted < limit {
		tables = append(tables, "audit_metadata_heads") // with numbers that are in use before
	}
	if org.Gone(now) {
		tables = append(tables, "audit_memberships", "audit_last_changes", "audit_restrictions", "audit_views")
	}
	for _, table := range tables {
		if err := s.Writer(ctx).Exec(`DELETE FROM `+table+` WHERE org_id = ?`, org.ID).Error; err != nil {
			return deleted, fmt.Errorf("delete the rows of %s: %w", table, err)
		}
	}
	return deleted, nil
}

// DeleteExpiredAccess deletes at most limit each of the sessions, invitations and reset links that
// cannot be used any more at now, and reports whether there may be more.
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
// expired at now, and reports whether there may be more.
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
