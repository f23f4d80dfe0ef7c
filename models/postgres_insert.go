package models

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Values go to PostgreSQL as text and numbers only, IDs and arrays in their text form: every driver
// sends those alike, with or without prepared statements.

// rebind numbers the placeholders. Statements here hold no other question mark.
func (postgres) rebind(sql string) string {
	var out strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(sql, "?")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		out.WriteString("$" + strconv.Itoa(n))
		sql = after
	}
}

func (postgres) greatest() string { return "GREATEST" }

// postgresKnownEntity and postgresKnownActor are the rows, from FROM on, that say that an
// organization's month has seen the entity or the actor of row.
//
// Months and names are compared as expressions, which no index can be used for: as long as
// PostgreSQL has no statistics, in a new database or after a crash, it takes the indexes by month
// and by name for as good as audit_entities_known and audit_actors_known, and would read all of the
// month for each row.
func postgresKnownEntity(orgID, row string) string {
	return `audit_entities known WHERE known.org_id = ` + orgID + `
		AND known.entity_type = ` + row + `.entity_type AND known.entity_id = ` + row + `.entity_id
		AND known.month + 0 = ` + row + `.month AND known.name_key || '' = ` + row + `.name_key`
}

func postgresKnownActor(orgID, row string) string {
	return `audit_actors known WHERE known.org_id = ` + orgID + `
		AND known.actor_id = ` + row + `.actor_id AND known.month + 0 = ` + row + `.month
		AND known.actor_name = ` + row + `.actor_name AND known.actor_email = ` + row + `.actor_email`
}

func postgresKnownNative(orgID, row string) string {
	return `audit_native_actions known WHERE known.org_id = ` + orgID + ` AND known.month = ` + row + `.month
		AND known.action = ` + row + `.action AND known.native_action = ` + row + `.native_action`
}

// Under SERIALIZABLE who reads a page of an index is in conflict with whoever adds to it, so that transactions which
// have nothing to do with each other would abort for a look at the names that are known. They are added blindly there,
// under IDs that tell so, for MergeNames.
const (
	postgresBlind = "current_setting('transaction_isolation') = 'serializable'"
	// postgresNameID is the ID of a row of names, added blindly or not.
	postgresNameID = "CASE WHEN blind THEN overlay(gen_random_uuid()::text PLACING '00000000' FROM 1)::uuid ELSE gen_random_uuid() END"
)

// unlessKnown is the condition that a name is added: it is not known, or nobody may look.
func unlessKnown(known string) string {
	return "CASE WHEN blind THEN true ELSE (SELECT true FROM " + known + " LIMIT 1) IS NULL END"
}

// insertOneSQL stores an entry in the organization that column names, and answers with one row if it
// did. It is one statement, and so one round trip: the parts of a WITH see the same snapshot.
func (d postgres) insertOneSQL(column string) string {
	return d.rebind(`
WITH org AS (
	SELECT id FROM audit_organizations WHERE ` + column + ` = ? AND closed_at = 0 AND (logging_enabled OR ?::boolean)
		AND $4::bigint >= ` + keptSinceSQL(d, "$5::bigint") + ` -- occurred_at, recorded_at
), entry AS (
	INSERT INTO audit_entries (org_id, id, ` + entryColumns + `)
	SELECT id, ?::uuid, ?::bigint, ?::bigint` + entryTexts + ` FROM org
	ON CONFLICT (org_id, id) DO NOTHING
	RETURNING org_id, entity_type, entity_id, actor_id, actor_key, actor_name, actor_email
), derived AS (
	SELECT entry.*, ?::integer AS month, ?::text AS id_key, ?::text AS name_key, ?::text AS actor_text, ` + postgresBlind + ` AS blind
	FROM entry
), entity AS (
	INSERT INTO audit_entities (org_id, id, month, entity_type, entity_id, id_key, name_key)
	SELECT org_id, ` + postgresNameID + `, month, entity_type, entity_id, id_key, name_key FROM derived
	WHERE ` + unlessKnown(postgresKnownEntity("derived.org_id", "derived")) + `
), actor AS (
	INSERT INTO audit_actors (org_id, id, month, actor_id, actor_key, actor_name, actor_email, search_key)
	SELECT org_id, ` + postgresNameID + `, month, actor_id, actor_key, actor_name, actor_email, actor_text FROM derived
	WHERE ` + unlessKnown(postgresKnownActor("derived.org_id", "derived")) + `
)
SELECT 1 FROM entry`)
}

var postgresInsertOne = map[string]string{
	"slug":        postgres{}.insertOneSQL("slug"),
	"external_id": postgres{}.insertOneSQL("external_id"),
}

const postgresStored = "SELECT EXISTS (SELECT 1 FROM audit_entries WHERE org_id = $1 AND id = $2::uuid)"

// insertEntry asks why an entry was not stored only where it was not: a statement that answers with
// rows costs more than one that counts them.
func (d postgres) insertEntry(ctx context.Context, h Handle, ref OrganizationRef, row entryRow, evenWhenOff bool) (InsertResult, error) {
	column, value := ref.column()
	values := append(make([]any, 0, 32), value, evenWhenOff, row.ID.String())
	values = appendEntryValues(values, &row.Entry)
	values = append(values, row.Month, row.IDKey, row.NameKey, row.ActorText)
	for {
		inserted, err := h.run.Exec(ctx, postgresInsertOne[column], values...)
		if err != nil || inserted == 1 {
			return InsertResult{}, err
		}
		state, err := stateOf(ctx, d, h.run, ref, row.RecordedAt)
		result := state.of(row.OccurredAt, evenWhenOff)
		if err != nil || result.Outcome != Inserted {
			return result, err
		}
		stored := false // before
		err = queryRows(ctx, h.run, func(rows Rows) error { return rows.Scan(&stored) }, postgresStored, state.ID, row.ID.String())
		if err != nil || stored {
			return result, err
		}
		// The organization was opened to events between the statements.
	}
}

// beginWriting has nothing to do: transactions may begin to write at any time.
func (postgres) beginWriting(context.Context, Statements) error { return nil }

// postgresInsertBatch stores any number of entries, which come as one array a column, in one
// statement; postgresInsertMore such as have more than most.
var postgresInsertBatch, postgresInsertMore = postgres{}.insertBatchSQL(false), postgres{}.insertBatchSQL(true)

func (d postgres) insertBatchSQL(more bool) string {
	columns, types, actorType, otherType := entryColumns, strings.ReplaceAll(entryTexts, "?", "?::text[]"), "", ""
	returning, parts := "", ""
	if more {
		columns += furtherColumns
		types += strings.Repeat(", ?::text[]", 4) + ", ?::integer[], ?::integer[]"
		actorType, otherType = ", actor_type", " AND known.actor_type = v.actor_type"
		returning, parts = "\n\tRETURNING org_id, id, ctid AS at", postgresInsertParts
	}
	return d.rebind(`
WITH org AS MATERIALIZED (
	SELECT (r.n - 1)::integer AS n, o.*, o.closed_at = 0 AND r.oldest >= o.kept_since AS takes_all
	FROM unnest(?::text[], ?::text[], ?::bigint[]) WITH ORDINALITY AS r(slug, external_id, oldest, n)
	CROSS JOIN (SELECT ?::bigint AS now) AS moment
	CROSS JOIN LATERAL (
		SELECT ` + postgresState + ` FROM audit_organizations WHERE slug = r.slug
		UNION ALL
		SELECT ` + postgresState + ` FROM audit_organizations WHERE external_id = r.external_id
	) AS o
), allowed AS MATERIALIZED (
	SELECT n, id AS org_id, logging_enabled, kept_since, ` + postgresBlind + ` AS blind FROM org
	WHERE closed_at = 0 AND (NOT ?::boolean OR ?::bigint = (SELECT COUNT(*) FROM org WHERE takes_all))
), entry AS (
	INSERT INTO audit_entries (org_id, id, ` + columns + `)
	SELECT allowed.org_id, v.id, ` + "v." + strings.ReplaceAll(columns, ", ", ", v.") + `
	FROM unnest(?::integer[], ?::boolean[], ?::uuid[], ?::bigint[], ?::bigint[]` + types + `)
		AS v(n, even_when_off, id, ` + columns + `)
	JOIN allowed ON ` + postgresAllowed + `
	ON CONFLICT (org_id, id) DO NOTHING` + returning + `
), entity AS (
	INSERT INTO audit_entities (org_id, id, month, entity_type, entity_id, id_key, name_key)
	SELECT allowed.org_id, ` + postgresNameID + `, v.month, v.entity_type, v.entity_id, v.id_key, v.name_key
	FROM unnest(?::integer[], ?::boolean[], ?::bigint[], ?::integer[], ?::text[], ?::text[], ?::text[], ?::text[])
		AS v(n, even_when_off, occurred_at, month, entity_type, entity_id, id_key, name_key)
	JOIN allowed ON ` + postgresAllowed + `
	WHERE ` + unlessKnown(postgresKnownEntity("allowed.org_id", "v")) + `
), actor AS (
	INSERT INTO audit_actors (org_id, id, month, actor_id, actor_key, actor_name, actor_email, search_key` + actorType + `)
	SELECT allowed.org_id, ` + postgresNameID + `, v.month, v.actor_id, v.actor_key, v.actor_name, v.actor_email, v.search_key` + strings.Replace(actorType, "actor", "v.actor", 1) + `
	FROM unnest(?::integer[], ?::boolean[], ?::bigint[], ?::integer[]` + strings.Repeat(", ?::text[]", 5+len(actorType)/len(", actor_type")) + `)
		AS v(n, even_when_off, occurred_at, month, actor_id, actor_key, actor_name, actor_email, search_key` + actorType + `)
	JOIN allowed ON ` + postgresAllowed + `
	WHERE ` + unlessKnown(postgresKnownActor("allowed.org_id", "v")+otherType) + `
)` + parts + `
SELECT n, id, logging_enabled, closed_at, kept_since FROM org`)
}

// postgresInsertParts stores what stands in tables beside the entries: only of those that are stored by the same
// statement, as parts are not added to an entry. Where it lies tells that without a look into the index.
var postgresInsertParts = `, native AS (
	INSERT INTO audit_native_actions (org_id, id, month, action, native_action, native_key)
	SELECT allowed.org_id, ` + postgresNameID + `, v.month, v.action, v.native_action, v.native_key
	FROM unnest(?::integer[], ?::boolean[], ?::bigint[], ?::integer[], ?::text[], ?::text[], ?::text[])
		AS v(n, even_when_off, occurred_at, month, action, native_action, native_key)
	JOIN allowed ON ` + postgresAllowed + `
	WHERE ` + unlessKnown(postgresKnownNative("allowed.org_id", "v")) + `
), related AS (
	INSERT INTO audit_related (org_id, entry_id, entry_at, position, entity_type, entity_id, entity_name, role)
	SELECT entry.org_id, entry.id, entry.at, v.position, v.entity_type, v.entity_id, v.entity_name, v.role
	FROM unnest(?::integer[], ?::uuid[], ?::integer[], ?::text[], ?::text[], ?::text[], ?::text[])
		AS v(n, id, position, entity_type, entity_id, entity_name, role)
	JOIN allowed ON allowed.n = v.n JOIN entry ON entry.org_id = allowed.org_id AND entry.id = v.id
	ON CONFLICT DO NOTHING
), principal AS (
	INSERT INTO audit_on_behalf_of (org_id, entry_id, entry_at, actor_type, actor_id, actor_name, actor_email, session)
	SELECT entry.org_id, entry.id, entry.at, v.actor_type, v.actor_id, v.actor_name, v.actor_email, v.session
	FROM unnest(?::integer[], ?::uuid[], ?::text[], ?::text[], ?::text[], ?::text[], ?::text[])
		AS v(n, id, actor_type, actor_id, actor_name, actor_email, session)
	JOIN allowed ON allowed.n = v.n JOIN entry ON entry.org_id = allowed.org_id AND entry.id = v.id
	ON CONFLICT DO NOTHING
)`

// What postgresInsertBatch asks of an organization, and which of the rows v it lets in.
var (
	postgresState   = "id, logging_enabled, closed_at, " + keptSinceSQL(postgres{}, "moment.now") + " AS kept_since"
	postgresAllowed = "allowed.n = v.n AND (allowed.logging_enabled OR v.even_when_off) AND v.occurred_at >= allowed.kept_since"
)

func (postgres) insertBatch(ctx context.Context, run Statements, batch *entryBatch) ([]organizationState, error) {
	organizations := newArrays(3)
	for i, o := range batch.organizations {
		organizations.add(o.Slug, o.ExternalID, strconv.FormatInt(int64(batch.oldest[i]), 10))
	}
	most := 3 + strings.Count(placeholders(entryColumns), "?")
	statement, entryArrays, actorTexts := postgresInsertBatch, most, 5
	if batch.more {
		statement, entryArrays, actorTexts = postgresInsertMore, most+strings.Count(furtherColumns, ","), 6
	}
	entries := newArrays(entryArrays)
	for i := range batch.entries {
		e := &batch.entries[i]
		entries[:most].add(strconv.Itoa(e.organization), strconv.FormatBool(e.evenWhenOff), e.ID.String(),
			strconv.FormatInt(int64(e.OccurredAt), 10), strconv.FormatInt(int64(e.RecordedAt), 10),
			e.Action, e.EntityType, e.EntityID, e.EntityName, e.ActorID, e.ActorKey, e.ActorName, e.ActorEmail,
			e.Source, e.IP, e.UserAgent, e.RequestID, e.APIKeyID, e.APIKeyName, e.URL, e.Metadata, string(e.Origin), e.Original)
		if batch.more {
			entries[most:].add(string(e.Outcome), e.Reason, e.NativeAction, string(e.ActorType), strconv.Itoa(e.Masked), strconv.Itoa(e.Parts))
		}
	}
	values := organizations.appendTo(nil)
	needed := len(batch.organizations) // to take all that is for them, where it is all or nothing
	if batch.refused {
		needed = -1
	}
	values = append(values, int64(batch.now), batch.allOrNothing, needed)
	values = entries.appendTo(values)
	values = batch.namedArrays(batch.entities, 4).appendTo(values)
	values = batch.namedArrays(batch.actors, actorTexts).appendTo(values)
	if batch.more {
		values = batch.namedArrays(batch.natives, 3).appendTo(values)
		values = batch.appendParts(values)
	}
	states := make([]organizationState, len(batch.organizations))
	err := queryRows(ctx, run, func(rows Rows) error {
		var n int
		var state organizationState
		if err := rows.Scan(append([]any{&n}, state.columns()...)...); err != nil {
			return err
		}
		states[n] = state
		return nil
	}, statement, values...)
	return states, err
}

// namedArrays are the columns of rows, of whose texts each has so many.
func (b *entryBatch) namedArrays(rows []namedRow, texts int) arrays {
	columns := newArrays(4 + texts)
	for i := range rows {
		e := &b.entries[rows[i].entry]
		columns[:4].add(strconv.Itoa(e.organization), strconv.FormatBool(e.evenWhenOff), strconv.FormatInt(int64(e.OccurredAt), 10), strconv.Itoa(e.Month))
		columns[4:].add(rows[i].texts[:texts]...)
	}
	return columns
}

// appendParts adds the related resources and the principals of the batch.
func (b *entryBatch) appendParts(values []any) []any {
	related, principals := newArrays(7), newArrays(7)
	for i := range b.entries {
		e := &b.entries[i]
		organization, id := strconv.Itoa(e.organization), e.ID.String()
		for n, r := range e.Related {
			related.add(organization, id, strconv.Itoa(n+1), r.Type, r.ID, r.Name, r.Role)
		}
		if p := e.OnBehalfOf; p != nil {
			principals.add(organization, id, string(p.Type), p.ID, p.Name, p.Email, p.Session)
		}
	}
	return principals.appendTo(related.appendTo(values))
}

func (postgres) claimKeys(ctx context.Context, run Statements, keys []claimedKey, now Micros) (map[keyID]bool, error) {
	rows := newArrays(6)
	for _, k := range keys {
		rows.add(strconv.FormatInt(k.orgID, 10), byteaText(k.key.Hash[:]), byteaText(k.key.Fingerprint[:]),
			k.entryID.String(), strconv.FormatBool(k.stored), strconv.FormatInt(int64(k.expires), 10))
	}
	fresh := make(map[keyID]bool, len(keys))
	// In one order, so that two batches with the same keys wait for each other and nothing worse.
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
	}, postgresClaimKeys, append(rows.appendTo(nil), int64(now))...)
	return fresh, err
}

var postgresClaimKeys = postgres{}.rebind(`
INSERT INTO audit_event_keys (org_id, key_hash, fingerprint, entry_id, stored, expires_at)
SELECT * FROM unnest(?::bigint[], ?::bytea[], ?::bytea[], ?::uuid[], ?::boolean[], ?::bigint[]) ORDER BY 1, 2
ON CONFLICT (org_id, key_hash) DO UPDATE SET
	fingerprint = EXCLUDED.fingerprint, entry_id = EXCLUDED.entry_id, stored = EXCLUDED.stored, expires_at = EXCLUDED.expires_at
	WHERE audit_event_keys.expires_at <= ?
RETURNING org_id, key_hash`)

func (postgres) moments(moments []Micros) condition {
	rows := newArrays(2)
	for _, at := range moments {
		rows.add(FirstEntryID(at).String(), FirstEntryID(at+1).String())
	}
	return condition{sql: "unnest(?::uuid[], ?::uuid[]) AS moment(first, next)", args: rows.appendTo(nil)}
}

// markAmong is written so that PostgreSQL makes one table of the marks, rather than look each of them up.
func (postgres) markAmong(entries []*Entry) condition {
	marks := newArrays(1)
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

func newArrays(columns int) arrays { return make(arrays, columns) }

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
