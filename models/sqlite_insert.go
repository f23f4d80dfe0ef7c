package models

import (
	"context"
	"database/sql"
	"strings"
)

func (sqlite) rebind(sql string) string { return sql }

func (sqlite) greatest() string { return "max" }

func (sqlite) apart() string { return "false" }

// insertOneSQL stores an entry, and answers, where it did, whether this month has seen its entity and its actor.
func (d sqlite) insertOneSQL(k entryKind) string {
	return `
INSERT INTO audit_entries (org_id, id, ` + k.columns() + `)
SELECT id, ?` + placeholders(k.columns()) + ` FROM audit_organizations
WHERE ` + k.organization + ` = ? AND closed_at = 0 AND (logging_enabled OR ?)
	AND ?2 >= ` + keptSinceSQL(d, "?3") + ` -- occurred_at, recorded_at
ON CONFLICT (org_id, id) DO NOTHING
RETURNING org_id,
	EXISTS (SELECT 1 FROM audit_entities known WHERE known.org_id = audit_entries.org_id AND known.entity_type = audit_entries.entity_type
		AND known.entity_id = audit_entries.entity_id AND known.month = ? AND known.name_key = ?),
	EXISTS (SELECT 1 FROM audit_actors known WHERE known.org_id = audit_entries.org_id AND known.actor_id = audit_entries.actor_id AND known.month = ?
		AND known.actor_name = audit_entries.actor_name AND known.actor_email = audit_entries.actor_email AND known.actor_type = audit_entries.actor_type)`
}

var sqliteInsertOne = ofEachKind(sqlite{}.insertOneSQL)

// insertEntry is a few statements in one transaction, the first of which writes; SQLite has one
// writer, so nothing comes between them. Of an entity and an actor that are known it is one.
func (d sqlite) insertEntry(ctx context.Context, h Handle, ref OrganizationRef, row entryRow, evenWhenOff bool) (result InsertResult, err error) {
	kind, value := kindOf(ref, &row.Entry)
	values := append(make([]any, 0, 40), row.ID[:])
	values = appendEntryValues(values, &row.Entry, kind.more)
	values = append(values, value, evenWhenOff, row.Month, row.NameKey, row.Month)
	err = h.inTransaction(ctx, func(run Statements) error {
		var orgID int64
		var entityKnown, actorKnown bool
		err := queryRows(ctx, run, func(rows Rows) error { return rows.Scan(&orgID, &entityKnown, &actorKnown) },
			sqliteInsertOne[kind], values...)
		if err != nil {
			return err
		}
		if orgID == 0 { // refused, or stored already
			state, err := stateOf(ctx, d, run, ref, row.RecordedAt)
			result = state.of(row.OccurredAt, evenWhenOff)
			return err
		}
		if !entityKnown && row.EntityID != "" {
			if _, err := run.Exec(ctx, sqliteInsertEntity, entityValues(orgID, row.Month, row.entityTexts())...); err != nil {
				return err
			}
		}
		if !actorKnown {
			if _, err := run.Exec(ctx, sqliteInsertActor, actorValues(orgID, row.Month, row.actorTexts())...); err != nil {
				return err
			}
		}
		if row.NativeAction != "" {
			_, err = run.Exec(ctx, sqliteInsertNative, nativeValues(orgID, row.Month, row.nativeTexts())...)
		}
		return err
	})
	return result, err
}

// The entity and the actor of an entry, where this month has not seen them yet. Their IDs begin with
// the organization's, so that full-text search can stay within it.
const (
	sqliteInsertEntity = `
INSERT INTO audit_entities (id, org_id, month, entity_type, entity_id, id_key, name_key)
SELECT (SELECT COALESCE(MAX(id), ?) + 1 FROM audit_entities WHERE id BETWEEN ? AND ?), ?, ?, ?, ?, ?, ?
WHERE NOT EXISTS (SELECT 1 FROM audit_entities WHERE org_id = ?
	AND entity_type = ? AND entity_id = ? AND month = ? AND name_key = ?)`
	sqliteInsertActor = `
INSERT INTO audit_actors (id, org_id, month, actor_id, actor_key, actor_name, actor_email, search_key, actor_type)
SELECT (SELECT COALESCE(MAX(id), ?) + 1 FROM audit_actors WHERE id BETWEEN ? AND ?), ?, ?, ?, ?, ?, ?, ?, ?
WHERE NOT EXISTS (SELECT 1 FROM audit_actors WHERE org_id = ?
	AND actor_id = ? AND month = ? AND actor_name = ? AND actor_email = ? AND actor_type = ?)`
	sqliteInsertNative    = "INSERT INTO audit_native_actions (org_id, month, action, native_action, native_key) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
	sqliteInsertRelated   = "INSERT INTO audit_related (org_id, entry_id, position, entity_type, entity_id, entity_name, role) VALUES (?, ?, ?, ?, ?, ?, ?)"
	sqliteInsertPrincipal = "INSERT INTO audit_on_behalf_of (org_id, entry_id, actor_type, actor_id, actor_name, actor_email, session) VALUES (?, ?, ?, ?, ?, ?, ?)"
)

func entityValues(orgID int64, month int, texts [6]string) []any {
	first, last := SQLiteIDs(orgID)
	kind, id, idKey, nameKey := texts[0], texts[1], texts[2], texts[3]
	return []any{first, first, last, orgID, month, kind, id, idKey, nameKey, orgID, kind, id, month, nameKey}
}

func actorValues(orgID int64, month int, texts [6]string) []any {
	first, last := SQLiteIDs(orgID)
	id, key, name, email, text, kind := texts[0], texts[1], texts[2], texts[3], texts[4], texts[5]
	return []any{first, first, last, orgID, month, id, key, name, email, text, kind, orgID, id, month, name, email, kind}
}

// SQLiteIDs is the range of IDs that rows of an organization's entities and actors have.
func SQLiteIDs(orgID int64) (first, last int64) { return orgID << 40, (orgID+1)<<40 - 1 }

// beginWriting takes the write lock with a statement that changes nothing. A transaction that began
// by reading could be refused to write later.
func (sqlite) beginWriting(ctx context.Context, run Statements) error {
	_, err := run.Exec(ctx, "DELETE FROM audit_meta WHERE 0")
	return err
}

// sqliteRows is how many entries one statement of a batch stores.
const sqliteRows = 32

func sqliteInsertRows(n int, columns string) string {
	row := "(?, ?" + placeholders(columns) + ")"
	return "INSERT INTO audit_entries (org_id, id, " + columns + ") VALUES " +
		strings.Repeat(row+", ", n-1) + row + " ON CONFLICT (org_id, id) DO NOTHING"
}

// For entries that have no more than most, and for batches with such as do.
var (
	sqliteInsertMany, sqliteInsertSingle         = sqliteInsertRows(sqliteRows, entryColumns), sqliteInsertRows(1, entryColumns)
	sqliteInsertManyMore, sqliteInsertSingleMore = sqliteInsertRows(sqliteRows, entryColumns+furtherColumns), sqliteInsertRows(1, entryColumns+furtherColumns)
)

func (sqlite) insertBatch(ctx context.Context, run Statements, batch *entryBatch) error {
	many, single := preparing{run: run, sql: sqliteInsertMany}, preparing{run: run, sql: sqliteInsertSingle}
	if batch.more {
		many.sql, single.sql = sqliteInsertManyMore, sqliteInsertSingleMore
		if err := insertParts(ctx, run, batch); err != nil {
			return err
		}
	}
	defer many.close()
	defer single.close()
	values, waiting := make([]any, 0, sqliteRows*27), 0
	for i := range batch.entries {
		e := &batch.entries[i]
		values = appendEntryValues(append(values, e.OrgID, e.ID[:]), &e.Entry, batch.more)
		if waiting++; waiting == sqliteRows {
			if err := many.exec(ctx, values...); err != nil {
				return err
			}
			values, waiting = values[:0], 0
		}
	}
	for each := len(values) / max(waiting, 1); len(values) > 0; values = values[each:] {
		if err := single.exec(ctx, values[:each]...); err != nil {
			return err
		}
	}

	for _, named := range []struct {
		rows   []namedRow
		sql    string
		values func(orgID int64, month int, texts [6]string) []any
	}{
		{batch.entities, sqliteInsertEntity, entityValues},
		{batch.actors, sqliteInsertActor, actorValues},
		{batch.natives, sqliteInsertNative, nativeValues},
	} {
		insert := preparing{run: run, sql: named.sql}
		defer insert.close()
		for _, row := range named.rows {
			if err := insert.exec(ctx, named.values(row.orgID, row.month, row.texts)...); err != nil {
				return err
			}
		}
	}
	return nil
}

func nativeValues(orgID int64, month int, texts [6]string) []any {
	return []any{orgID, month, texts[0], texts[1], texts[2]}
}

// insertParts stores what stands in tables beside the entries, before those: a trigger leaves out what would be
// added to an entry.
func insertParts(ctx context.Context, run Statements, batch *entryBatch) error {
	related, principal := preparing{run: run, sql: sqliteInsertRelated}, preparing{run: run, sql: sqliteInsertPrincipal}
	defer related.close()
	defer principal.close()
	for i := range batch.entries {
		e := &batch.entries[i]
		for n, r := range e.Related {
			if err := related.exec(ctx, e.OrgID, e.ID[:], n+1, r.Type, r.ID, r.Name, r.Role); err != nil {
				return err
			}
		}
		if p := e.OnBehalfOf; p != nil {
			if err := principal.exec(ctx, e.OrgID, e.ID[:], string(p.Type), p.ID, p.Name, p.Email, p.Session); err != nil {
				return err
			}
		}
	}
	return nil
}

func (sqlite) claimKeys(ctx context.Context, run Statements, keys []claimedKey) (map[keyID]bool, error) {
	fresh := make(map[keyID]bool, len(keys))
	for _, k := range keys {
		changed, err := run.Exec(ctx, `
INSERT INTO audit_event_keys (org_id, key_hash, fingerprint, entry_id, stored, expires_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (org_id, key_hash) DO UPDATE SET
	fingerprint = excluded.fingerprint, entry_id = excluded.entry_id, stored = excluded.stored, expires_at = excluded.expires_at
	WHERE expires_at <= excluded.expires_at - ?`, k.orgID, k.key.Hash[:], k.key.Fingerprint[:], k.entryID[:], k.stored, int64(k.expires), keyKeptFor.Microseconds())
		if err != nil {
			return nil, err
		}
		fresh[k.id()] = changed == 1
	}
	return fresh, nil
}

func (sqlite) moments(moments []Micros) condition {
	c := condition{sql: "(SELECT column1 AS first, column2 AS next FROM (VALUES (?, ?)" + strings.Repeat(", (?, ?)", len(moments)-1) + ")) AS moment"}
	for _, at := range moments {
		first, next := FirstEntryID(at), FirstEntryID(at+1)
		c.args = append(c.args, first[:], next[:])
	}
	return c
}

func (sqlite) markAmong(entries []*Entry) condition {
	c := condition{sql: "substr(e.id, 13) IN (?" + strings.Repeat(", ?", len(entries)-1) + ")"}
	for _, e := range entries {
		mark := e.ID.mark()
		c.args = append(c.args, mark[:])
	}
	return c
}

// lockHistory has nothing to do: there is one writer.
func (sqlite) lockHistory(context.Context, Statements, int64) error { return nil }

func (sqlite) textAmong(column string, values []string) condition {
	c := condition{sql: column + " IN (?" + strings.Repeat(", ?", len(values)-1) + ")"}
	for _, value := range values {
		c.args = append(c.args, value)
	}
	return c
}

func (sqlite) keyAmong(keys []claimedKey) condition {
	c := condition{sql: "key_hash IN (?" + strings.Repeat(", ?", len(keys)-1) + ")"}
	for _, k := range keys {
		c.args = append(c.args, k.key.Hash[:])
	}
	return c
}

// preparing is a statement that runs again and again: prepared when it first does where that is possible, as preparing
// it takes as long as running it.
type preparing struct {
	run       Statements
	sql       string
	statement *sql.Stmt
}

func (p *preparing) exec(ctx context.Context, values ...any) (err error) {
	if p.statement == nil {
		over, _ := p.run.(overSQL)
		preparer, can := over.ExecQuerier.(interface {
			PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
		})
		if !can {
			_, err = p.run.Exec(ctx, p.sql, values...)
			return err
		}
		if p.statement, err = preparer.PrepareContext(ctx, p.sql); err != nil {
			return err
		}
	}
	_, err = p.statement.ExecContext(ctx, values...)
	return err
}

func (p *preparing) close() {
	if p.statement != nil {
		_ = p.statement.Close()
	}
}
