package following

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/auditlogs/auditlogs/models"
)

// postgres knows a place by the transactions whose entries have been read, as numbers in xact. While those of more are
// being read, these and the last entry follow them: its transaction, ID and organization, with a space between each two.
type postgres struct{ store *models.Store }

// entryAt is where an entry stands in the order of transactions.
type entryAt struct {
	xact, orgID int64
	id          models.EntryID
}

// position is a Place that has been understood.
type position struct {
	read  spans
	until spans   // empty where nothing of what is not in read has been read
	last  entryAt // where there is until
}

func (p postgres) now(ctx context.Context) (Place, error) {
	ended, err := p.ended(ctx)
	return Place(ended.String()), err
}

// nodeBits is where the number of a transaction says, on Citus, of which node it is: see audit_set_transaction.
const nodeBits = 44

// ended are the transactions that have ended, in the numbers of the tables. Those of other clusters and of nodes that are
// no more have.
func (p postgres) ended(ctx context.Context) (ended spans, err error) {
	var now struct {
		Snapshot    string
		Before      int64
		Here        bool
		Distributed bool
	}
	err = p.store.Reader(ctx).Raw(`SELECT pg_current_snapshot()::text AS snapshot, audit_transactions_before() AS before,
	(SELECT value FROM audit_meta WHERE key = 'cluster') IS NOT DISTINCT FROM (SELECT system_identifier::text FROM pg_control_system()) AS here,
	NOT (SELECT atthasdef FROM pg_attribute WHERE attrelid = 'audit_entries'::regclass AND attname = 'xact') AS distributed`).Scan(&now).Error
	switch {
	case err != nil:
		return nil, err
	case !now.Here:
		return nil, ErrElsewhere
	}
	snapshots, nodes := map[int64]string{0: now.Snapshot}, int64(1)
	if now.Distributed {
		if snapshots, nodes, err = p.ofNodes(ctx); err != nil {
			return nil, err
		}
	}
	ended = ended.join(span{0, now.Before, nil})
	for node := range nodes {
		first := now.Before + node<<nodeBits
		text, lives := snapshots[node]
		if !lives {
			ended = ended.join(span{first, first + 1<<nodeBits, nil})
			continue
		}
		snapshot, err := parseSpan(text)
		if err != nil {
			return nil, err
		}
		s := span{from: first, next: first + snapshot.next}
		for _, xact := range snapshot.except {
			s.except = append(s.except, first+xact)
		}
		ended = ended.join(s)
	}
	return ended, nil
}

// ofNodes are the snapshots of the nodes of Citus by their group, and how many groups there have ever been. Whatever node
// an entry lies on, who asks for it later than for the snapshots finds it: where a shard has moved to, it is there before
// anything is recorded there.
func (p postgres) ofNodes(ctx context.Context) (snapshots map[int64]string, groups int64, err error) {
	var nodes int
	err = p.store.Reader(ctx).Raw(`SELECT (SELECT last_value + 1 FROM pg_dist_groupid_seq),
	(SELECT count(*) FROM pg_dist_node WHERE noderole = 'primary')`).Row().Scan(&groups, &nodes)
	if err != nil {
		return nil, 0, err
	}
	var answers []struct {
		Success bool
		Result  string
	}
	err = p.store.Reader(ctx).Raw(`SELECT success, result FROM run_command_on_all_nodes(
	'SELECT groupid || '' '' || pg_current_snapshot() FROM pg_dist_local_group')`).Scan(&answers).Error
	if err != nil {
		return nil, 0, err
	}
	snapshots = map[int64]string{}
	for _, answer := range answers {
		group, text, found := strings.Cut(answer.Result, " ")
		if !answer.Success || !found {
			return nil, 0, errors.New("a node of Citus does not say which transactions have ended: " + answer.Result)
		}
		number, err := strconv.ParseInt(group, 10, 64)
		if err != nil {
			return nil, 0, err
		}
		snapshots[number] = text
	}
	if len(snapshots) != nodes {
		return nil, 0, fmt.Errorf("%d of %d nodes of Citus say which transactions have ended", len(snapshots), nodes)
	}
	return snapshots, groups, nil
}

// read goes from the transactions of the place to those that have ended by now. What else becomes visible while it reads
// is of other ones.
func (p postgres) read(ctx context.Context, after Place, r *reading) (Place, error) {
	at, err := parsePosition(after)
	if err != nil {
		return "", err
	}
	now, err := p.ended(ctx)
	if err != nil {
		return "", err
	}
	for {
		ongoing := len(at.until) > 0
		if !ongoing {
			at.until = now
		}
		if !at.until.reachTo(at.read) {
			return "", fmt.Errorf("the place %q is ahead of the transactions of the database, %s", after, now)
		}
		if err := p.readOn(ctx, &at, ongoing, r); err != nil {
			return "", err
		}
		switch {
		case r.full():
			return at.place(), nil
		case !ongoing:
			return Place(now.String()), nil
		}
		at = position{read: at.until}
	}
}

// readOn reads on towards at.until, and says in at.last where it is.
func (p postgres) readOn(ctx context.Context, at *position, ongoing bool, r *reading) error {
	query := func(from string, args ...any) error {
		before := len(r.found)
		var xact int64
		if err := r.query(ctx, p.store, []field{{"xact", &xact}}, from, args...); err != nil {
			return err
		}
		if n := len(r.found); n > before {
			at.last = entryAt{xact, r.found[n-1].OrgID, r.found[n-1].ID}
		}
		return nil
	}
	const inOrder = " ORDER BY xact, id, org_id"
	done := int64(-1) // of the transactions up to this one all has been read
	if ongoing {
		done = at.last.xact
		if err := query("xact = ? AND (id, org_id) > (?::uuid, ?) ORDER BY id, org_id", at.last.xact, at.last.id.String(), at.last.orgID); err != nil {
			return err
		}
	}
	for _, run := range at.until.without(at.read) {
		if r.full() {
			return nil
		}
		var err error
		if from := max(run.from, done+1); from < run.next {
			err = query("xact >= ? AND xact < ? AND xact <> ALL (?::bigint[])"+inOrder, from, run.next, bigints(run.except))
		} else if among := after(run.among, done); len(among) > 0 {
			err = query("xact = ANY (?::bigint[])"+inOrder, bigints(among))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// after are those of some numbers that are higher than done.
func after(numbers []int64, done int64) (higher []int64) {
	for _, n := range numbers {
		if n > done {
			higher = append(higher, n)
		}
	}
	return higher
}

func (postgres) unread(place Place) (condition string, args []any, err error) {
	at, err := parsePosition(place)
	if err != nil {
		return "", nil, err
	}
	condition, args = at.read.others()
	if len(at.until) > 0 {
		later, more := at.until.others()
		condition += " AND (" + later + " OR (xact, id, org_id) > (?, ?::uuid, ?))"
		args = append(append(args, more...), at.last.xact, at.last.id.String(), at.last.orgID)
	}
	return condition, args, nil
}

func (postgres) gone(context.Context, Place) (bool, error) { return false, nil }

func (at position) place() Place {
	return Place(fmt.Sprintf("%s %s %d %s %d", at.read, at.until, at.last.xact, at.last.id, at.last.orgID))
}

func parsePosition(place Place) (at position, err error) {
	words := strings.Split(string(place), " ")
	if words[0] != "" {
		at.read, err = parseSpans(words[0])
	}
	if len(words) == 1 || err != nil {
		return at, err
	}
	if len(words) != 5 {
		return at, fmt.Errorf("%q is no place in the log", place)
	}
	at.until, err = parseSpans(words[1])
	if err == nil {
		at.last.xact, err = strconv.ParseInt(words[2], 10, 64)
	}
	if err == nil {
		at.last.id, err = models.ParseEntryID(words[3])
	}
	if err == nil {
		at.last.orgID, err = strconv.ParseInt(words[4], 10, 64)
	}
	return at, err
}
