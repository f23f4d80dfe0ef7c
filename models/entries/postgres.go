package entries

import (
	"slices"
	"strconv"
	"strings"

	"github.com/auditlogs/auditlogs/models"
)

// postgres is what PostgreSQL does its own way.
type postgres struct{}

// unindexedOrganization is org_id = ? as no index has it. Citus, to which every table must name the organization, takes it
// for what it is.
const unindexedOrganization = "org_id = ?::numeric"

// mergeRuns seeks in the index once a run. The values go in as arrays, so the statement's text, and with it its
// plan, is the same for any number of runs. Then it looks up one entry after the other: the OFFSET keeps
// PostgreSQL from a join that reads the whole table.
func (postgres) mergeRuns(r reading, set runSet) condition {
	arrays, names, equal := "?::int[]", "group_number", ""
	values := make([]string, len(set.runs))
	for n, run := range set.runs {
		values[n] = strconv.Itoa(run.group)
	}
	args := []any{models.PostgresArray(values)}
	for i, operand := range set.operands {
		for n, run := range set.runs {
			values[n] = run.values[i]
		}
		name := "v" + strconv.Itoa(i)
		arrays, names = arrays+", ?::text[]", names+", "+name
		args = append(args, models.PostgresArray(values))
		if operand == day {
			operand, name = "(occurred_at / 86400000000)::integer", name+"::integer"
		}
		equal += " AND " + operand + " = run." + name
	}
	id := set.index.id()
	entry, at := id, "?"
	if id != "id" {
		// Between places of this index, which the primary key has not got: where nearly all rows are of one run,
		// PostgreSQL would rather read all of the organization in that, for the runs of others, too.
		entry = "(" + strings.Join(set.index.columns, ", ") + ", " + id + ")"
		at = "(run." + strings.Join(strings.Split(names, ", ")[1:], ", run.") + ", ?)"
	}
	where := r.where(set, entry, at)
	if slices.Contains(set.index.columns, day) {
		// PostgreSQL 18, as long as it has no statistics, would read all of the organization in the primary key for each day.
		where.sql = strings.Replace(where.sql, "org_id = ?", unindexedOrganization, 1)
	}
	distinctOfRun, distinct := r.distinct(set)
	ids := condition{`SELECT ` + distinct + `run.group_number, hit.id AS hit_id FROM unnest(` + arrays + `) AS run(` + names + `)
	CROSS JOIN LATERAL (SELECT ` + distinctOfRun + id + ` AS id FROM ` + set.index.table + ` WHERE ` + where.sql + equal + `
		ORDER BY ` + id + ` ` + r.direction() + ` LIMIT ? OFFSET ?) AS hit` + r.ordered("run.group_number", "hit.id") + ` LIMIT ?`,
		append(append(args, where.args...), r.limit, r.skip, r.limit)}
	if r.columns == idColumn {
		return ids
	}
	return condition{`SELECT page.group_number, e.* FROM (` + ids.sql + `) AS page
CROSS JOIN LATERAL (SELECT ` + r.columns + ` FROM audit_entries WHERE org_id = ? AND id = page.hit_id OFFSET 0) AS e` +
		r.ordered("page.group_number", "page.hit_id"), append(ids.args, r.orgID)}
}

// among looks up one entry after the other: before PostgreSQL has statistics it would rather read all of the organization.
func (postgres) among(orgID int64, ids []models.EntryID, columns string, where condition) condition {
	where = condition{"org_id = ? AND id = one", []any{orgID}}.and(where)
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return condition{"SELECT 0, e.* FROM unnest(?::uuid[]) AS one CROSS JOIN LATERAL (SELECT " + columns + " FROM audit_entries WHERE " + where.sql + " OFFSET 0) AS e",
		append([]any{models.PostgresArray(texts)}, where.args...)}
}

// cameFrom compares the hash that the index holds in place of the value, and then the value.
func (postgres) cameFrom(orgID int64, column, value string) condition {
	return condition{"(hashtextextended(" + column + ", org_id) >> 32)::integer" +
		" = (hashtextextended(?, ?) >> 32)::integer" +
		" AND " + column + " <> '' AND " + unindexed(column) + " = ?", []any{value, orgID, value}}
}

// asciiLower is a column with its letters of ASCII in lower case.
func (postgres) asciiLower(column string) string { return `lower(` + column + ` COLLATE "C")` }

// holding uses the index of every three letters in a row: its expression, word for word. The OFFSET keeps
// PostgreSQL from reading everything of the organization besides.
func (postgres) holding(orgID int64, grams []gram) condition {
	var all []string
	prefix := strconv.FormatInt(orgID, 10) + ":"
	for _, gram := range grams {
		quoted := "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(prefix+gram.letters) + "'"
		if gram.beginning {
			quoted += ":*"
		}
		all = append(all, quoted)
	}
	return condition{`(SELECT * FROM audit_entities WHERE ` + unindexedOrganization + `
	AND audit_trigrams(org_id, id_key || E'\n' || name_key) @@ ?::tsquery OFFSET 0) AS found WHERE org_id = ?`,
		[]any{orgID, strings.Join(all, " & "), orgID}}
}
