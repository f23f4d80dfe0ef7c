package entries

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/auditlogs/auditlogs/models"
)

type postgres struct{}

// streamsSQL seeks in the index once a stream. The values go in as arrays, so the statement's text,
// and with it its plan, is the same for any number of streams.
func (postgres) streamsSQL(q streamQuery, streams []stream, limit int, more string) condition {
	var arrays, names, equal []string
	var args []any
	for i, operand := range append([]string{"grp"}, q.set.operands()...) {
		values := make([]string, len(streams))
		for n, stream := range streams {
			if i == 0 {
				values[n] = strconv.Itoa(stream.group)
			} else {
				values[n] = stream.values[i-1]
			}
		}
		name, array := "v"+strconv.Itoa(i), "?::text[]"
		if i == 0 {
			array = "?::int[]"
		} else {
			equal = append(equal, " AND "+operand+" = s."+name)
		}
		arrays, names = append(arrays, array), append(names, name)
		args = append(args, models.PostgresArray(values))
	}
	where := q.where()
	return condition{sql: `SELECT s.v0 AS grp, hit.id AS hit_id` + more + ` FROM unnest(` + strings.Join(arrays, ", ") + `) AS s(` + strings.Join(names, ", ") + `)
	CROSS JOIN LATERAL (SELECT id` + more + ` FROM audit_entries WHERE ` + where.sql + strings.Join(equal, "") + `
		ORDER BY id ` + q.order() + ` LIMIT ?) AS hit` + q.streamsOrder("s.v0", "hit.id") + ` LIMIT ?`, args: append(append(args, where.args...), cmp.Or(q.each, limit), limit)}
}

// look saves a second one in logs of up to ten million.
func (postgres) look() int { return 1000 }

// endsFirst is false: it would be one more statement.
func (postgres) endsFirst() bool { return false }

// entriesAt looks up one entry after the other: the OFFSET keeps PostgreSQL from a join that reads the
// whole table.
func (postgres) entriesAt(q streamQuery, ids condition) condition {
	c := condition{
		sql: "SELECT page.grp, page.ends, e.* FROM (" + ids.sql + ") AS page CROSS JOIN LATERAL (SELECT " + q.columns.sql +
			" FROM audit_entries WHERE org_id = ? AND id = page.hit_id OFFSET 0) AS e",
		args: append(ids.args, q.orgID),
	}
	c.sql, c.args = c.sql+" ORDER BY page.grp, page.hit_id "+q.order()+", page.ends LIMIT ?", append(c.args, q.limit+1)
	return c
}

// forLike is quicker than what ILIKE does.
func (postgres) forLike(column string) string { return `lower(` + column + ` COLLATE "C")` }

// entitiesContaining uses the index of every three letters in a row: its expression, word for word. The
// OFFSET keeps PostgreSQL from reading everything of the organization besides.
func (postgres) entitiesContaining(orgID int64, words []string, _ int) condition {
	const text = `(id_key || E'\n' || name_key)`
	var index, all condition
	for i, word := range words {
		if i > 0 {
			index.sql += " AND "
		}
		index.sql += "audit_grams(org_id, " + text + ") @> audit_grams(?, ?)"
		index.args = append(index.args, orgID, endOf(word))
		all.sql += " AND " + text + ` LIKE ? ESCAPE '\'`
		all.args = append(all.args, "%"+escapeLike(word)+"%")
	}
	return condition{
		sql:  "(SELECT * FROM audit_entities WHERE " + index.sql + " OFFSET 0) AS found WHERE org_id = ?" + all.sql,
		args: append(append(index.args, orgID), all.args...),
	}
}

func (postgres) idAmong(ids []models.EntryID) condition {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return condition{sql: "id = ANY (?::uuid[])", args: []any{models.PostgresArray(texts)}}
}
