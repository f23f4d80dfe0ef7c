package entries

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/auditlogs/auditlogs/models"
)

// postgres is what PostgreSQL does its own way.
type postgres struct{}

// merged seeks in the index once a run. The values go in as arrays, so the statement's text, and with it its
// plan, is the same for any number of runs. Then it looks up one entry after the other: the OFFSET keeps
// PostgreSQL from a join that reads the whole table.
func (postgres) merged(r reading, set runSet, runs []run) condition {
	arrays, names, equal := "?::int[]", "group_number", ""
	values := make([]string, len(runs))
	for n, run := range runs {
		values[n] = strconv.Itoa(run.group)
	}
	args := []any{models.PostgresArray(values)}
	for i, operand := range set.operands() {
		for n, run := range runs {
			values[n] = run.values[i]
		}
		name := "v" + strconv.Itoa(i)
		arrays, names = arrays+", ?::text[]", names+", "+name
		if isDayOf(set.columns[i]) {
			equal += " AND (occurred_at / 86400000000)::integer = run." + name + "::integer"
		} else {
			equal += " AND " + operand + " = run." + name
		}
		args = append(args, models.PostgresArray(values))
	}
	where := r.where(set)
	ids := condition{`SELECT run.group_number, hit.id AS hit_id FROM unnest(` + arrays + `) AS run(` + names + `)
	CROSS JOIN LATERAL (SELECT id FROM audit_entries WHERE ` + where.sql + equal + `
		ORDER BY id ` + r.direction() + ` LIMIT ? OFFSET ?) AS hit` + r.ordered("run.group_number", "hit.id") + ` LIMIT ?`,
		append(append(args, where.args...), cmp.Or(r.each, r.limit), r.skip, r.limit)}
	if r.columns.sql == idColumn.sql {
		return ids
	}
	return condition{"SELECT page.group_number, e.* FROM (" + ids.sql + ") AS page CROSS JOIN LATERAL (SELECT " + r.columns.sql +
		" FROM audit_entries WHERE org_id = ? AND id = page.hit_id OFFSET 0) AS e" + r.ordered("page.group_number", "page.hit_id"),
		append(ids.args, r.orgID)}
}

// hasOrigin compares the hash that the index holds in place of the value, and then the value.
func (postgres) hasOrigin(orgID int64, column, value string) condition {
	return condition{"(hashtextextended(" + column + ", org_id) >> 32)::integer = (hashtextextended(?, ?) >> 32)::integer AND " +
		column + " <> '' AND " + unindexed(column) + " = ?", []any{value, orgID, value}}
}

func (postgres) amongIDs(ids []models.EntryID) condition {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return condition{"id = ANY (?::uuid[])", []any{models.PostgresArray(texts)}}
}

// asciiLower is a column with its letters of ASCII in lower case.
func (postgres) asciiLower(column string) string { return `lower(` + column + ` COLLATE "C")` }

// containing uses the index of every three letters in a row: its expression, word for word. The OFFSET keeps
// PostgreSQL from reading everything of the organization besides.
func (postgres) containing(orgID int64, words []string) condition {
	const text = `(id_key || E'\n' || name_key)`
	var grams []string
	prefix := strconv.FormatInt(orgID, 10) + ":"
	for _, gram := range gramsOf(words) {
		quoted := "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(prefix+gram.letters) + "'"
		if gram.beginning {
			quoted += ":*"
		}
		grams = append(grams, quoted)
	}
	c := condition{`(SELECT * FROM audit_entities WHERE audit_trigrams(org_id, id_key || E'\n' || name_key) @@ ?::tsquery OFFSET 0) AS found WHERE org_id = ?`,
		[]any{strings.Join(grams, " & "), orgID}}
	for _, word := range words {
		c = c.and(condition{text + ` LIKE ? ESCAPE '\'`, []any{"%" + escapeLike(word) + "%"}})
	}
	return c
}
