package audittest

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
)

// Log is where events are recorded: a transaction, a pool, or a Recorder.
type Log interface {
	*gorm.DB | *sql.Tx | *sql.DB | *Recorder
}

// read lists what the log holds, newest first. Entries do not hold the IDs of their events: it is
// looked up which one is of the event with id, where that is not empty.
func read[L Log](ctx context.Context, log L, id string) ([]facts, error) {
	switch log := any(log).(type) {
	case *Recorder:
		return log.read()
	case *gorm.DB:
		return readEntries(ctx, log, id)
	case *sql.Tx:
		return readWithSQL(ctx, log, id)
	case *sql.DB:
		return readWithSQL(ctx, log, id)
	}
	return nil, nil // Log has no other types
}

// readWithSQL asks the database what it is: only PostgreSQL has a function version, and to ask it
// spoils no transaction on SQLite.
func readWithSQL(ctx context.Context, pool gorm.ConnPool, id string) ([]facts, error) {
	dialect := audit.PostgreSQL
	var version string
	if err := pool.QueryRowContext(ctx, "SELECT version()").Scan(&version); err != nil {
		dialect = audit.SQLite
	}
	db, err := models.OpenSQL(ctx, dialect.String(), pool)
	if err != nil {
		return nil, err
	}
	return readEntries(ctx, db, id)
}

// entryRow is an entry with the names of its organization.
type entryRow struct {
	models.Entry
	Slug       string
	ExternalID *string
	Named      bool // it is of the event with the ID looked for
}

func readEntries(ctx context.Context, tx *gorm.DB, id string) ([]facts, error) {
	query := tx.Session(&gorm.Session{NewDB: true, Context: ctx}).
		Table("audit_entries AS e").
		Joins("JOIN audit_organizations AS o ON o.id = e.org_id").
		Select("e.*, o.slug, o.external_id").
		Order("e.id DESC")
	if id != "" {
		hash := sha256.Sum256([]byte(id))
		query = query.
			Joins("LEFT JOIN audit_event_keys AS k ON k.org_id = e.org_id AND k.entry_id = e.id AND k.key_hash = ?", hash[:]).
			Select("e.*, o.slug, o.external_id, k.key_hash IS NOT NULL AS named")
	}
	var rows []entryRow
	if err := query.Scan(&rows).Error; err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	held := make([]facts, len(rows))
	for i, row := range rows {
		err := models.ReadParts(ctx, tx, row.OrgID, &row.Entry)
		if err == nil {
			held[i], err = row.facts()
		}
		if err != nil {
			return nil, err
		}
		if row.Named {
			held[i]["id"] = id
		}
	}
	return held, nil
}

func (r entryRow) facts() (facts, error) {
	said, err := decodeFacts(audit.Event{
		Organization: r.Slug,
		Action:       action.Action(r.Action),
		EntityType:   r.EntityType,
		EntityID:     r.EntityID,
		EntityName:   r.EntityName,
		NativeAction: r.NativeAction,
		Related:      r.Related,
		Outcome:      r.Outcome,
		Reason:       r.Reason,
		Actor:        r.Actor(),
		OccurredAt:   r.OccurredAt.Time(),
		URL:          r.URL,
		Request:      audit.Request{IP: r.IP, UserAgent: r.UserAgent, ID: r.RequestID},
	})
	if err != nil {
		return nil, err
	}
	if r.ExternalID != nil {
		said["external_id"] = *r.ExternalID
	}
	if r.Metadata != "" {
		var metadata map[string]any
		decoder := json.NewDecoder(strings.NewReader(r.Metadata))
		decoder.UseNumber()
		if err := decoder.Decode(&metadata); err != nil {
			return nil, fmt.Errorf("metadata of entry %s: %w", r.ID, err)
		}
		said["metadata"] = metadata
	}
	return said, nil
}
