package models

import (
	"context"
	"database/sql"
	"strings"
	"time"
)

// postgres is what PostgreSQL does its own way.
type postgres struct{}

func (postgres) name() string { return "postgres" }

// isolation is asked for because default_transaction_isolation may be any.
func (postgres) isolation() []*sql.TxOptions {
	return []*sql.TxOptions{{Isolation: sql.LevelReadCommitted}}
}

func (postgres) snapshot() []*sql.TxOptions {
	return []*sql.TxOptions{{Isolation: sql.LevelRepeatableRead, ReadOnly: true}}
}

// writtenUpTo asks for the Position of the primary: of what was committed, whether it is on the disk
// yet or not.
const writtenUpTo = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"

// someOf is an array, which PostgreSQL goes through: of a list it may make a hash, and read the whole
// table beside it. On Citus the organization says where they lie.
func (postgres) someOf(query string) string {
	return "org_id = @org AND ctid = ANY (ARRAY(SELECT ctid FROM " + query + "))"
}

// countedEntries is how many entries at most say how many there are in a time.
const countedEntries = 1000

// StepsOfABatch is of how many transactions a batch of deleted entries is at most on PostgreSQL. Those who
// record wait for each, for the processor and for the disk.
const StepsOfABatch = 32

// leastAStep is about how many entries a transaction of several deletes at least. Where the disk is slow,
// smaller ones take as long.
const leastAStep = 500

// deleteOldest is one statement of several transactions, so that the next begins as soon as the last one is on
// the disk. Where they end is found by time, from how many entries the statement before deleted in which
// time. Only at first, after a time without any and after an error entries are counted in the index: that
// reads the entries themselves where others of their pages are gone, which takes as long as deleting them.
//
// After an error some of them may be gone. They are counted in the clean-up's row, and deleting them again
// does no harm.
func (postgres) deleteOldest(ctx context.Context, e *ExpiredEntries, limit int) (deleted int, err error) {
	known := e.density
	e.density = density{}
	tx := e.store.Writer(ctx)
	begin, end, expected := e.upTo, e.before, limit
	if known.entries == 0 {
		expected = min(limit, countedEntries)
		if begin, err = e.nth(tx, 1); err == nil {
			end, err = e.nth(tx, expected)
		}
		if err != nil {
			return 0, err
		}
	} else if guess := FirstEntryID(MicrosOf(begin.Occurred().Add(known.span(limit)))); guess.Compare(end) < 0 {
		end = guess
	}
	if begin != e.before {
		if !e.cleanup.counting {
			if err := saveCleanup(tx, e.cleanup); err != nil {
				return 0, err
			}
			e.cleanup.counting = true
		}
		steps := stepsBetween(begin, end, min(expected/leastAStep, StepsOfABatch))
		err = tx.Raw("CALL audit_delete_in_steps(?, ?, ?::uuid[], ?, ?)",
			e.cleanup.OrgID, e.upTo, PostgresArray(steps), e.before, e.contiguous()).Scan(&deleted).Error
		if err != nil {
			return 0, err
		}
	}
	*e = e.forward(end, deleted)
	e.density = density{entries: deleted, lasting: end.Occurred().Sub(begin.Occurred())}
	return deleted, nil
}

// stepsBetween are the ends of n steps from begin to end that take as much of the time; at least of one.
func stepsBetween(begin, end EntryID, n int) (ends []string) {
	first, lasting := begin.Occurred(), end.Occurred().Sub(begin.Occurred())
	for i := 1; i < n; i++ {
		at := FirstEntryID(MicrosOf(first.Add(lasting / time.Duration(n) * time.Duration(i))))
		if begin.Compare(at) < 0 && at.Compare(end) < 0 {
			ends = append(ends, at.String())
		}
	}
	return append(ends, end.String())
}

// density is how many entries there were in a time.
type density struct {
	entries int
	lasting time.Duration
}

// widestSpan is how many times as long as the last one a span is at most: entries may come thicker again.
const widestSpan = 4

// span is how long it takes until there are n, going by d.
func (d density) span(n int) time.Duration {
	longer := min(float64(n)/float64(d.entries), widestSpan)
	return max(time.Duration(float64(d.lasting)*longer), time.Millisecond)
}

func (postgres) idAmong(ids []EntryID) condition {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return condition{sql: "id = ANY (?::uuid[])", args: []any{PostgresArray(texts)}}
}

// PostgresArray is a PostgreSQL array in its text form, which every driver can send.
func PostgresArray(values []string) string {
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
