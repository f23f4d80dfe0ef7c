// Package following reads the log in the order in which it was committed: every entry once, and none is passed over that
// was committed late.
//
// IDs are no order to follow the log by. They go by the time at which something happened, which may be long ago, and a
// transaction that has recorded something may end long after those that came behind it. So a Place says of every
// transaction whether its entries have been read:
//
// On PostgreSQL it is the numbers of the transactions that had ended, as a snapshot (pg_snapshot) tells them; an entry has
// that of the transaction which recorded it (xact). What has ended by now and had not then has not been read: the
// transactions that had not begun, and those that were under way. Both are runs of the index
// audit_entries_by_transaction, so that reading takes as long as there is to read. How far the reading of what lies
// between two snapshots has come is a transaction and an ID, so that it is in steps, however large a transaction was.
//
// On Citus each node has numbers of its own, so that of an entry also says on which node it was recorded, wherever its
// shard has moved since; and a place has a snapshot of each node. A transaction that is prepared to commit on several nodes
// is under way on each until it has committed there. Entries are asked for when all nodes have given their snapshots: what
// those know of lies where the coordinator looks for it by then. Of nodes that are no more all transactions have ended.
//
// On SQLite it is the entry that was read last, as there is one transaction at a time: the row behind it is of the same
// transaction or a later one. Rowids are given again after those at the end were deleted; so the place of a consumer
// whose entry is deleted becomes that of the row before it, by a trigger. Recording does nothing for those who follow.
//
// # Where the numbers of transactions begin anew
//
// A server of PostgreSQL that took over from another (failover, recovery to a point in time, pg_upgrade) goes on with its
// numbers. Tables that were restored into another cluster (auditlogs restore, pg_restore) hold numbers of the old one,
// while those of the new one may be lower: what is recorded there would seem to have been read, and later the same number
// would be that of two transactions. Therefore the numbers in the tables go on behind the highest one that there is, in an
// entry or in a place: audit_continue_transactions adds that to all later ones. A place that was restored with the entries
// then means what it meant: what it had read is not read again, the rest is, and what is recorded later comes behind. It
// happens in the transaction of "auditlogs restore", and in package migrate, which knows by the cluster's identifier that
// the tables come from elsewhere. Until then nothing can be read (ErrElsewhere). What is recorded between pg_restore and
// "auditlogs migrate" is not followed. On Citus, where a copy of one PostgreSQL or of another cluster has come to, it is
// the same.
//
// # What goes meanwhile
//
// Entries that are deleted before they were read are not read.
package following

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/auditlogs/auditlogs/models"
)

// Place is how far the log has been read, as a text that can be kept. The zero Place is before all entries.
type Place string

var (
	// ErrElsewhere reports that the tables come from another cluster of PostgreSQL and package migrate has not run here.
	ErrElsewhere = errors.New("the tables come from another PostgreSQL cluster: run auditlogs migrate")
	// ErrPlaceGone reports that the entry of a Place on SQLite has been deleted.
	ErrPlaceGone = errors.New("the place in the log is gone")
)

// Needs are what is to be read of entries beside who did what when: their organizations, IDs and times, the actions, the IDs
// of the actors, the outcomes and the numbers of parts.
type Needs struct {
	Row      bool // what else stands in their rows, but for metadata
	Metadata bool
	Parts    bool // Related and OnBehalfOf
}

// And is what is needed for both.
func (n Needs) And(m Needs) Needs {
	return Needs{Row: n.Row || m.Row, Metadata: n.Metadata || m.Metadata, Parts: n.Parts || m.Parts}
}

// Batch is what follows a place.
type Batch struct {
	Entries []models.Entry // in the order of their commits as far as there is one
	Next    Place          // behind them, also where there are none
	More    bool           // there is more to read
}

// Log reads the log of all organizations in the order of commits, always from the primary.
type Log struct {
	store  *models.Store
	source source
}

// source is what differs between the databases.
type source interface {
	now(ctx context.Context) (Place, error)
	read(ctx context.Context, after Place, r *reading) (next Place, err error)
	unread(place Place) (condition string, args []any, err error)
	// gone reports whether a place is none any more.
	gone(ctx context.Context, place Place) (bool, error)
}

// New reads the log of a store.
func New(store *models.Store) *Log {
	if store.Dialect() == "postgres" {
		return &Log{store, postgres{store}}
	}
	return &Log{store, sqlite{store}}
}

// Now is the place behind all that has been committed.
func (l *Log) Now(ctx context.Context) (Place, error) {
	place, err := l.source.now(ctx)
	if err != nil {
		return "", fmt.Errorf("find the end of the log: %w", err)
	}
	return place, nil
}

// maxBytes is how long entries may be together before a batch ends.
const maxBytes = 4 << 20

// Read reads up to limit entries behind a place, fewer where they are long. What its transaction has not committed yet is
// read from a later place.
func (l *Log) Read(ctx context.Context, after Place, needs Needs, limit int) (Batch, error) {
	r := reading{needs: needs, left: limit}
	next, err := l.source.read(ctx, after, &r)
	if err == nil && needs.Parts {
		err = l.readParts(ctx, r.found)
	}
	if err != nil {
		return Batch{}, fmt.Errorf("follow the log: %w", err)
	}
	return Batch{Entries: r.found, Next: next, More: r.full()}, nil
}

// Unread is the condition, of rows of audit_entries under their own names, that they are not read yet at a place. Together
// with the place of a consumer it has to be asked in one statement or of one snapshot.
func (l *Log) Unread(place Place) (condition string, args []any, err error) {
	return l.source.unread(place)
}

// Between lists entries of an organization that are unread at the place from and read at the place to, at most limit, in no
// order. Where one of the places is gone the error is ErrPlaceGone.
func (l *Log) Between(ctx context.Context, orgID int64, from, to Place, limit int) (ids []models.EntryID, err error) {
	unread, args, err := l.Unread(from)
	if err != nil {
		return nil, err
	}
	later, more, err := l.Unread(to)
	if err != nil {
		return nil, err
	}
	ofOrganization := "org_id = ?"
	if l.store.Dialect() == "sqlite" {
		ofOrganization = "+org_id = ?" // the newest rows, rather than all of the organization
	}
	args = append(append(append([]any{orgID}, args...), more...), limit)
	err = l.store.Reader(ctx).Raw("SELECT id FROM audit_entries WHERE "+ofOrganization+" AND ("+unread+") AND NOT ("+later+") LIMIT ?", args...).Scan(&ids).Error
	for _, place := range []Place{from, to} {
		if err != nil {
			break
		}
		var gone bool
		if gone, err = l.source.gone(ctx, place); gone {
			err = ErrPlaceGone
		}
	}
	if err != nil {
		return nil, fmt.Errorf("follow the log: %w", err)
	}
	return ids, nil
}

func (l *Log) readParts(ctx context.Context, entries []models.Entry) error {
	byOrganization := map[int64][]*models.Entry{}
	for i := range entries {
		if e := &entries[i]; e.Parts > 0 {
			byOrganization[e.OrgID] = append(byOrganization[e.OrgID], e)
		}
	}
	for orgID, some := range byOrganization {
		if err := models.ReadParts(ctx, l.store.Reader(ctx), orgID, some...); err != nil {
			return err
		}
	}
	return nil
}

// reading gathers entries until there are enough.
type reading struct {
	needs Needs
	left  int // how many more
	bytes int
	found []models.Entry
}

func (r *reading) full() bool { return r.left <= 0 || r.bytes >= maxBytes }

// query reads entries by a statement that begins with their columns and ends with a limit. fields are further columns,
// before those.
func (r *reading) query(ctx context.Context, store *models.Store, fields []field, from string, args ...any) error {
	var e models.Entry
	columns, into := r.columns(&e)
	for i, f := range fields {
		columns = f.column + ", " + columns
		into = slices.Insert(into, 0, fields[i].into)
	}
	rows, err := store.Reader(ctx).Raw("SELECT "+columns+" FROM audit_entries WHERE "+from+" LIMIT ?", append(args, r.left)...).Rows()
	if err != nil {
		return err
	}
	defer rows.Close()
	for !r.full() && rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		r.found = append(r.found, e)
		r.left--
		r.bytes += len(e.Metadata) + 300
		if r.needs.Row {
			r.bytes += len(e.Original) + 700
		}
	}
	return rows.Err()
}

// field is a column and where its value goes.
type field struct {
	column string
	into   any
}

func (r *reading) columns(e *models.Entry) (columns string, into []any) {
	columns = "org_id, id, occurred_at, recorded_at, action, actor_id, outcome, parts"
	into = []any{&e.OrgID, &e.ID, &e.OccurredAt, &e.RecordedAt, &e.Action, &e.ActorID, &e.Outcome, &e.Parts}
	if r.needs.Row {
		columns += ", entity_type, entity_id, entity_name, actor_key, actor_name, actor_email, source, ip, user_agent, request_id, " +
			"api_key_id, api_key_name, url, origin, original, reason, native_action, actor_type, masked"
		into = append(into, &e.EntityType, &e.EntityID, &e.EntityName, &e.ActorKey, &e.ActorName, &e.ActorEmail, &e.Source, &e.IP, &e.UserAgent, &e.RequestID,
			&e.APIKeyID, &e.APIKeyName, &e.URL, &e.Origin, &e.Original, &e.Reason, &e.NativeAction, &e.ActorType, &e.Masked)
	}
	if r.needs.Metadata {
		columns, into = columns+", metadata", append(into, &e.Metadata)
	}
	return columns, into
}
