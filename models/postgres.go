package models

import (
	"strconv"
	"strings"
)

// postgres is what PostgreSQL does its own way.
type postgres struct{}

func (postgres) name() string { return "postgres" }

// streamsSQL seeks in the index once a stream, for IDs only, and then reads the rows of the page.
// The values go in as arrays, so the statement's text, and with it its plan, is the same for any
// number of streams.
func (postgres) streamsSQL(q streamQuery, streams []stream) (string, []any) {
	var arrays, names, equal []string
	var args []any
	for i, column := range append([]string{"grp"}, q.set.columns...) {
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
			equal = append(equal, " AND "+column+" = s."+name)
		}
		arrays, names = append(arrays, array), append(names, name)
		args = append(args, arrayText(values))
	}
	where := q.where()
	args = append(append(args, where.args...), q.limit, q.limit, q.orgID)
	return `SELECT page.grp, ` + q.columns + ` FROM (
	SELECT s.v0 AS grp, hit.id AS hit_id FROM unnest(` + strings.Join(arrays, ", ") + `) AS s(` + strings.Join(names, ", ") + `)
	CROSS JOIN LATERAL (SELECT id FROM audit_entries WHERE ` + where.sql + strings.Join(equal, "") + `
		ORDER BY id ` + q.order() + ` LIMIT ?) AS hit
	ORDER BY s.v0, hit.id ` + q.order() + ` LIMIT ?
) AS page JOIN audit_entries e ON e.org_id = ? AND e.id = page.hit_id
ORDER BY page.grp, e.id ` + q.order(), args
}

// someOf is an array, which PostgreSQL goes through: of a list it may make a hash, and read the whole
// table beside it.
func (postgres) someOf(query string) string {
	return "ctid = ANY (ARRAY(SELECT ctid FROM " + query + "))"
}

func (postgres) idAmong(ids []EntryID) condition {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return condition{sql: "id = ANY (?::uuid[])", args: []any{arrayText(texts)}}
}

// arrayText is a PostgreSQL array in its text form, which every driver can send.
func arrayText(values []string) string {
	var array strings.Builder
	for _, value := range values {
		addToArray(&array, value)
	}
	return arrayOf(&array)
}

// addToArray writes one more value of an array that arrayOf ends.
func addToArray(array *strings.Builder, value string) {
	if array.Len() == 0 {
		_, _ = array.WriteString(`{"`)
	} else {
		_, _ = array.WriteString(`,"`)
	}
	for {
		special := strings.IndexAny(value, `"\\`)
		if special < 0 {
			break
		}
		_, _ = array.WriteString(value[:special])
		_ = array.WriteByte('\\')
		_ = array.WriteByte(value[special])
		value = value[special+1:]
	}
	_, _ = array.WriteString(value)
	_ = array.WriteByte('"')
}

func arrayOf(array *strings.Builder) string {
	if array.Len() == 0 {
		return "{}"
	}
	_ = array.WriteByte('}')
	return array.String()
}

// entitiesContaining uses the trigram index: its expression, word for word.
func (postgres) entitiesContaining(orgID int64, words []string) condition {
	c := condition{sql: "audit_entities WHERE org_id = ?", args: []any{orgID}}
	for _, word := range words {
		c.sql += ` AND (id_key || E'\n' || name_key) LIKE ? ESCAPE '\'`
		c.args = append(c.args, "%"+escapeLike(word)+"%")
	}
	return c
}
