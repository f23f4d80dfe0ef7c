package models

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Values go to PostgreSQL as text and numbers only, IDs and arrays in their text form: every driver
// sends those alike, with or without prepared statements.

// rebind numbers the placeholders. Statements hold no other question mark.
func (postgres) rebind(sql string) string { return placed(sql) }

func (postgres) greatest() string { return "GREATEST" }

// apart asks for Citus: where it is, an organization's rows may be on any node.
func (postgres) apart() string { return "to_regclass('pg_dist_partition') IS NOT NULL" }

// placed puts numbers in place of a statement's placeholders: those of values by name, written as @name, in their order,
// then those of the others, written as ?.
func placed(sql string, names ...string) string {
	number := len(names)
	return placeholder.ReplaceAllStringFunc(sql, func(name string) string {
		if name != "?" {
			return "$" + strconv.Itoa(slices.Index(names, name[1:])+1)
		}
		number++
		return "$" + strconv.Itoa(number)
	})
}

var placeholder = regexp.MustCompile(`\?|@\w+`)

// postgresKnownEntity, postgresKnownActor and postgresKnownNative are the rows, from FROM on, that say that an
// organization's month has seen what a row names, whose columns are written behind row.
//
// Months and names are compared as expressions, which no index can be used for: as long as
// PostgreSQL has no statistics, in a new database or after a crash, it takes the indexes by month
// and by name for as good as audit_entities_known and audit_actors_known, and would read all of the
// month for each row.
func postgresKnownEntity(orgID, row string) string {
	return `audit_entities known WHERE known.org_id = ` + orgID + `
		AND known.entity_type = ` + row + `entity_type AND known.entity_id = ` + row + `entity_id
		AND known.month + 0 = ` + row + `month AND known.name_key || '' = ` + row + `name_key`
}

func postgresKnownActor(orgID, row string) string {
	return `audit_actors known WHERE known.org_id = ` + orgID + `
		AND known.actor_id = ` + row + `actor_id AND known.month + 0 = ` + row + `month
		AND known.actor_name = ` + row + `actor_name AND known.actor_email = ` + row + `actor_email AND known.actor_type = ` + row + `actor_type`
}

func postgresKnownNative(orgID, row string) string {
	return `audit_native_actions known WHERE known.org_id = ` + orgID + ` AND known.month = ` + row + `month
		AND known.action = ` + row + `action AND known.native_action = ` + row + `native_action`
}

// unlessKnown is the condition that a name is added: it is not known, or nobody may look.
//
// Under SERIALIZABLE who reads a page of an index is in conflict with whoever adds to it, so that transactions which
// have nothing to do with each other would abort for a look at the names that are known. They are added blindly there,
// under IDs that tell so (see migration 20), for MergeNames.
func unlessKnown(known string) string {
	return "CASE WHEN current_setting('transaction_isolation') = 'serializable' THEN true ELSE (SELECT true FROM " + known + " LIMIT 1) IS NULL END"
}

// postgresInsertOne stores an entry in the organization that a column names, if that is the one with the ID. It is one
// statement, and so one round trip: the parts of a WITH see the same snapshot.
//
// Here as in all statements on tables with org_id, the organization is a constant: that is how Citus knows where its
// rows are.
var postgresInsertOne = ofEachKind(postgres{}.insertOneSQL)

func (postgres) insertOneSQL(k entryKind) string {
	columns, rest := k.columns(), "month, id_key, name_key, search_key"
	name := func(table, columns, given string, known func(orgID, row string) string) string {
		return "(INSERT INTO " + table + " (" + columns + ") SELECT " + named(columns) + " WHERE EXISTS (SELECT 1 FROM organization) AND " + given +
			" <> '' AND " + unlessKnown(known("@org_id", "@")) + ")"
	}
	sql := `WITH organization AS (
	SELECT 1 FROM audit_organizations WHERE id = @org_id::bigint AND ` + k.organization + ` = @organization AND closed_at = 0
		AND (logging_enabled OR @even_when_off::boolean) AND @occurred_at::bigint >= ` + keptSinceSQL(postgres{}, "@recorded_at::bigint") + `
), entity AS ` + name("audit_entities", entityColumns, "@entity_id", postgresKnownEntity) + `
, actor AS ` + name("audit_actors", actorColumns, "@actor_id", postgresKnownActor)
	if k.more {
		sql += ", native AS " + name("audit_native_actions", nativeColumns, "@native_action", postgresKnownNative)
		rest += ", native_key"
	} else {
		sql = strings.ReplaceAll(sql, "@actor_type", "''")
	}
	sql += " INSERT INTO audit_entries (org_id, id, " + columns + ") SELECT @org_id, @id::uuid, " + named(columns) +
		" FROM organization ON CONFLICT (org_id, id) DO NOTHING"
	return placed(sql, strings.Split("org_id, organization, even_when_off, id, "+columns+", "+rest, ", ")...)
}

// named are the placeholders of columns by their names.
func named(columns string) string { return "@" + strings.ReplaceAll(columns, ", ", ", @") }

const postgresStored = "SELECT EXISTS (SELECT 1 FROM audit_entries WHERE org_id = $1 AND id = $2::uuid)"

// knownOrganizations are those of all databases that the process records in, as they were when they were asked for. Who
// uses an ID checks that the organization has it: one of another database, or of a transaction that was rolled back, costs
// a question.
var knownOrganizations recent[OrganizationRef, knownOrganization]

type knownOrganization struct {
	id    int64
	apart bool // see apart of dialect
}

// insertEntry asks why an entry was not stored only where it was not: a statement that answers with
// rows costs more than one that counts what it stores.
//
// On Citus it asks first. There, what a part of a WITH finds is sent to every node for the others, which then all have
// to be up, and to commit together.
func (d postgres) insertEntry(ctx context.Context, h Handle, ref OrganizationRef, row entryRow, evenWhenOff bool) (InsertResult, error) {
	kind, value := kindOf(ref, &row.Entry)
	organization, known := knownOrganizations.get(ref)
	values := append(make([]any, 0, 40), organization.id, value, evenWhenOff, row.ID.String())
	values = appendEntryValues(values, &row.Entry, kind.more)
	values = append(values, row.Month, row.IDKey, row.NameKey, row.ActorText)
	if kind.more {
		values = append(values, Fold(row.NativeAction))
	}
	for {
		if known && !organization.apart {
			inserted, err := h.run.Exec(ctx, postgresInsertOne[kind], values...)
			if err != nil || inserted == 1 {
				return InsertResult{}, err
			}
		}
		state, err := stateOf(ctx, d, h.run, ref, row.RecordedAt)
		result := state.of(row.OccurredAt, evenWhenOff)
		if err != nil || result.Outcome != Inserted {
			return result, err
		}
		asked := knownOrganization{state.ID, state.Apart}
		if asked.apart {
			knownOrganizations.put(ref, asked)
			batch := &entryBatch{}
			batch.add(row, state, map[nameKey]bool{}, nil)
			return result, d.insertBatch(ctx, h.run, batch)
		}
		if known && asked == organization {
			stored := false // before
			err = queryRows(ctx, h.run, func(rows Rows) error { return rows.Scan(&stored) }, postgresStored, state.ID, row.ID.String())
			if err != nil || stored {
				return result, err
			}
			continue // the organization was opened to events between the statements
		}
		organization, known = asked, true
		values[0] = asked.id
		knownOrganizations.put(ref, asked)
	}
}

// beginWriting has nothing to do: transactions may begin to write at any time.
func (postgres) beginWriting(context.Context, Statements) error { return nil }

// insertBatch is one statement, and one more for parts, or so many for each organization on Citus: there, nothing can be
// looked for beside arrays but in one organization. Elsewhere a statement for each takes several times as long.
func (postgres) insertBatch(ctx context.Context, run Statements, batch *entryBatch) error {
	organizations := batch.organizations()
	switch {
	case len(organizations) == 1:
		return insertArrays(ctx, run, batch, organizations[0])
	case len(organizations) > 0 && !batch.apart:
		return insertArrays(ctx, run, batch)
	}
	for _, orgID := range organizations {
		if err := insertArrays(ctx, run, batch.of(orgID), orgID); err != nil {
			return err
		}
	}
	return nil
}

// insertArrays stores entries of an organization or, where that is left out, of several.
func insertArrays(ctx context.Context, run Statements, batch *entryBatch, orgID ...any) error {
	entries := newArrays(batchColumns(batch.more))
	for i := range batch.entries {
		e := &batch.entries[i]
		row := [...]string{strconv.FormatInt(e.OrgID, 10), e.ID.String(),
			strconv.FormatInt(int64(e.OccurredAt), 10), strconv.FormatInt(int64(e.RecordedAt), 10),
			e.Action, e.EntityType, e.EntityID, e.EntityName, e.ActorID, e.ActorKey, e.ActorName, e.ActorEmail,
			e.Source, e.IP, e.UserAgent, e.RequestID, e.APIKeyID, e.APIKeyName, e.URL, e.Metadata, string(e.Origin), e.Original,
			string(e.Outcome), e.Reason, e.NativeAction, string(e.ActorType), strconv.Itoa(e.Masked), strconv.Itoa(e.Parts)}
		entries.add(row[:len(entries)]...)
	}
	values := namedArrays(entityColumns, batch.entities).appendTo(orgID)
	values = namedArrays(actorColumns, batch.actors).appendTo(values)
	if batch.more {
		values = namedArrays(nativeColumns, batch.natives).appendTo(values)
	}
	values = entries.appendTo(values)
	statement := postgresInsertBatch[batchKind{batch.more, batch.parts, len(orgID) == 0}]
	if !batch.parts {
		_, err := run.Exec(ctx, statement, values...)
		return err
	}
	at := map[storedAt]string{}
	err := queryRows(ctx, run, func(rows Rows) error {
		var stored storedAt
		var place string
		err := rows.Scan(&stored.orgID, &stored.id, &place)
		at[stored] = place
		return err
	}, statement, values...)
	if err != nil {
		return err
	}
	return batch.insertParts(ctx, run, at)
}

// storedAt is an entry that was stored.
type storedAt struct {
	orgID int64
	id    EntryID
}

// insertParts stores the parts of those entries that were stored now, as none are added to such as were there. Where one
// lies tells that without a look into the index.
func (b *entryBatch) insertParts(ctx context.Context, run Statements, at map[storedAt]string) error {
	related, principals := newArrays(relatedColumns), newArrays(principalColumns)
	for i := range b.entries {
		e := &b.entries[i]
		place, stored := at[storedAt{e.OrgID, e.ID}]
		if !stored {
			continue
		}
		orgID, id := strconv.FormatInt(e.OrgID, 10), e.ID.String()
		for n, r := range e.Related {
			related.add(orgID, id, place, strconv.Itoa(n+1), r.Type, r.ID, r.Name, r.Role)
		}
		if p := e.OnBehalfOf; p != nil {
			principals.add(orgID, id, place, string(p.Type), p.ID, p.Name, p.Email, p.Session)
		}
	}
	_, err := run.Exec(ctx, postgresInsertParts, principals.appendTo(related.appendTo(nil))...)
	return err
}

var postgresInsertParts = placed("WITH related AS (INSERT INTO audit_related (" + relatedColumns + ") SELECT v.* FROM " + unnested(relatedColumns) +
	" ON CONFLICT DO NOTHING) INSERT INTO audit_on_behalf_of (" + principalColumns + ") SELECT v.* FROM " + unnested(principalColumns) + " ON CONFLICT DO NOTHING")

func namedArrays(columns string, rows []namedRow) arrays {
	all := newArrays(columns)
	for i := range rows {
		row := &rows[i]
		all[:2].add(strconv.FormatInt(row.orgID, 10), strconv.Itoa(row.month))
		all[2:].add(row.texts[:len(all)-2]...)
	}
	return all
}

// batchKind is for which batches a statement is: with an entry that has more than most, or even parts, and of several
// organizations.
type batchKind struct{ more, parts, several bool }

// postgresInsertBatch stores any number of entries, which come as one array a column, in one statement.
var postgresInsertBatch = map[batchKind]string{}

func init() {
	for _, several := range []bool{false, true} {
		for _, kind := range []batchKind{{false, false, several}, {true, false, several}, {true, true, several}} {
			postgresInsertBatch[kind] = kind.insertSQL()
		}
	}
}

const (
	entityColumns    = "org_id, month, entity_type, entity_id, id_key, name_key"
	actorColumns     = "org_id, month, actor_id, actor_key, actor_name, actor_email, search_key, actor_type"
	nativeColumns    = "org_id, month, action, native_action, native_key"
	relatedColumns   = "org_id, entry_id, entry_at, position, entity_type, entity_id, entity_name, role"
	principalColumns = "org_id, entry_id, entry_at, actor_type, actor_id, actor_name, actor_email, session"
)

func batchColumns(more bool) string { return "org_id, id, " + entryKind{more: more}.columns() }

func (k batchKind) insertSQL() string {
	orgID, first := "@org_id", []string{"org_id"}
	if k.several {
		orgID, first = "v.org_id", nil
	}
	names := func(table, columns string, known func(orgID, row string) string) string {
		return "(INSERT INTO " + table + " (" + columns + ") SELECT v.* FROM " + unnested(columns) + " WHERE " + unlessKnown(known(orgID, "v.")) + ")"
	}
	sql := "WITH entity AS " + names("audit_entities", entityColumns, postgresKnownEntity) + ", actor AS " + names("audit_actors", actorColumns, postgresKnownActor)
	if k.more {
		sql += ", native AS " + names("audit_native_actions", nativeColumns, postgresKnownNative)
	}
	columns := batchColumns(k.more)
	sql += " INSERT INTO audit_entries (" + columns + ") SELECT v.* FROM " + unnested(columns) + " ON CONFLICT (org_id, id) DO NOTHING"
	if k.parts {
		sql += " RETURNING org_id, id::text, ctid::text"
	}
	return placed(sql, first...)
}

// unnested is a table v of some columns, whose values come as one array each.
func unnested(columns string) string {
	names := strings.Split(columns, ", ")
	for i, column := range names {
		kind := "text"
		switch column {
		case "id", "entry_id":
			kind = "uuid"
		case "org_id", "occurred_at", "recorded_at":
			kind = "bigint"
		case "entry_at":
			kind = "tid"
		case "month", "position", "masked", "parts":
			kind = "integer"
		}
		names[i] = "?::" + kind + "[]"
	}
	return "unnest(" + strings.Join(names, ", ") + ") AS v(" + columns + ")"
}

func (postgres) claimKeys(ctx context.Context, run Statements, keys []claimedKey) (map[keyID]bool, error) {
	fresh := make(map[keyID]bool, len(keys))
	if len(keys) == 0 {
		return fresh, nil
	}
	rows := newArrays(claimedColumns)
	for _, k := range keys {
		rows.add(strconv.FormatInt(k.orgID, 10), byteaText(k.key.Hash[:]), byteaText(k.key.Fingerprint[:]),
			k.entryID.String(), strconv.FormatBool(k.stored), strconv.FormatInt(int64(k.expires), 10))
	}
	err := queryRows(ctx, run, func(rows Rows) error {
		var orgID int64
		var hash []byte
		if err := rows.Scan(&orgID, &hash); err != nil {
			return err
		}
		if len(hash) != sha256.Size {
			return fmt.Errorf("an event key has %d bytes", len(hash))
		}
		fresh[keyID{orgID, [sha256.Size]byte(hash)}] = true
		return nil
	}, postgresClaimKeys, rows.appendTo(nil)...)
	return fresh, err
}

const claimedColumns = "org_id, key_hash, fingerprint, entry_id, stored, expires_at"

// In one order, so that two batches with the same keys wait for each other and nothing worse.
var postgresClaimKeys = placed(`
INSERT INTO audit_event_keys (` + claimedColumns + `)
SELECT * FROM unnest(?::bigint[], ?::bytea[], ?::bytea[], ?::uuid[], ?::boolean[], ?::bigint[]) ORDER BY 1, 2
ON CONFLICT (org_id, key_hash) DO UPDATE SET
	fingerprint = EXCLUDED.fingerprint, entry_id = EXCLUDED.entry_id, stored = EXCLUDED.stored, expires_at = EXCLUDED.expires_at
	WHERE audit_event_keys.expires_at <= EXCLUDED.expires_at - ` + strconv.FormatInt(keyKeptFor.Microseconds(), 10) + ` -- now
RETURNING org_id, key_hash`)

func (postgres) moments(moments []Micros) condition {
	rows := newArrays("first, next")
	for _, at := range moments {
		rows.add(FirstEntryID(at).String(), FirstEntryID(at+1).String())
	}
	return condition{sql: "unnest(?::uuid[], ?::uuid[]) AS moment(first, next)", args: rows.appendTo(nil)}
}

// markAmong is written so that PostgreSQL makes one table of the marks, rather than look each of them up.
func (postgres) markAmong(entries []*Entry) condition {
	marks := newArrays("mark")
	for _, e := range entries {
		mark := e.ID.mark()
		marks.add(byteaText(mark[:]))
	}
	return condition{sql: "(substr(uuid_send(e.id), 13) IN (SELECT unnest(?::bytea[]))) IS TRUE", args: marks.appendTo(nil)}
}

func (d postgres) lockHistory(ctx context.Context, run Statements, orgID int64) error {
	_, err := run.Exec(ctx, d.rebind("SELECT pg_advisory_xact_lock(hashtextextended('audit log history', ?))"), orgID)
	return err
}

func (postgres) textAmong(column string, values []string) condition {
	return condition{sql: column + " = ANY (?::text[])", args: []any{PostgresArray(values)}}
}

func (postgres) keyAmong(keys []claimedKey) condition {
	hashes := make([]string, len(keys))
	for i, k := range keys {
		hashes[i] = byteaText(k.key.Hash[:])
	}
	return condition{sql: "key_hash = ANY (?::bytea[])", args: []any{PostgresArray(hashes)}}
}

// byteaText is the text form of bytes.
func byteaText(bytes []byte) string { return `\x` + hex.EncodeToString(bytes) }

// arrays are the columns of rows, on their way into unnest: each a PostgreSQL array in its text form.
type arrays []strings.Builder

func newArrays(columns string) arrays { return make(arrays, strings.Count(columns, ",")+1) }

func (a arrays) add(row ...string) {
	for i, value := range row {
		addToArray(&a[i], value)
	}
}

func (a arrays) appendTo(values []any) []any {
	for i := range a {
		values = append(values, arrayOf(&a[i]))
	}
	return values
}
