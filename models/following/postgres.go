package following

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/auditlogs/auditlogs/models"
)

// postgres knows a place by the snapshot whose entries have been read. While those of a later one are being read, that
// and the last entry follow it: its transaction, ID and organization, with a space between each two.
type postgres struct{ store *models.Store }

// snapshot says which transactions had ended, as pg_snapshot does.
type snapshot struct {
	next     int64   // the first number that none had yet
	underWay []int64 // of the lower ones, in order
}

// entryAt is where an entry stands in the order of transactions.
type entryAt struct {
	xact, orgID int64
	id          models.EntryID
}

// position is a Place that has been understood.
type position struct {
	seen  snapshot
	until *snapshot // nil where nothing of what follows seen has been read
	last  entryAt   // where there is until
}

func (p postgres) now(ctx context.Context) (Place, error) {
	now, err := p.snapshot(ctx)
	return Place(now.String()), err
}

// snapshot is the present one, in the numbers of the tables.
func (p postgres) snapshot(ctx context.Context) (snapshot, error) {
	var now struct {
		Text        string
		Before      int64
		Here        bool
		Distributed bool
	}
	err := p.store.Reader(ctx).Raw(`SELECT pg_current_snapshot()::text AS text, audit_transactions_before() AS before,
	(SELECT value FROM audit_meta WHERE key = 'cluster') IS NOT DISTINCT FROM (SELECT system_identifier::text FROM pg_control_system()) AS here,
	NOT (SELECT atthasdef FROM pg_attribute WHERE attrelid = 'audit_entries'::regclass AND attname = 'xact') AS distributed`).Scan(&now).Error
	switch {
	case err != nil:
		return snapshot{}, err
	case now.Distributed:
		return snapshot{}, ErrDistributed
	case !now.Here:
		return snapshot{}, ErrElsewhere
	}
	s, err := parseSnapshot(now.Text)
	s.next += now.Before
	for i := range s.underWay {
		s.underWay[i] += now.Before
	}
	return s, err
}

// read goes from the snapshot of the place to the present one: first through what is left of the transaction it was at,
// then those that were under way and have ended, and then those that began later. What becomes visible while it reads is
// of transactions that the later snapshot has under way, or does not know.
func (p postgres) read(ctx context.Context, after Place, r *reading) (Place, error) {
	at, err := parsePosition(after)
	if err != nil {
		return "", err
	}
	now, err := p.snapshot(ctx)
	if err != nil {
		return "", err
	}
	for {
		ongoing := at.until != nil
		if !ongoing {
			at.until = &now
		}
		if at.until.next < at.seen.next {
			return "", fmt.Errorf("the place %q is ahead of the transactions of the database, which are at %d", after, now.next)
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
		at = position{seen: *at.until}
	}
}

// readOn reads on towards at.until, and says in at.last where it is.
func (p postgres) readOn(ctx context.Context, at *position, ongoing bool, r *reading) error {
	const inOrder = " ORDER BY xact, id, org_id"
	query := func(from string, args ...any) error {
		if r.full() {
			return nil
		}
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
	began := int64(-1) // up to which transaction all has been read
	if ongoing {
		began = at.last.xact
		if err := query("xact = ? AND (id, org_id) > (?::uuid, ?) ORDER BY id, org_id", at.last.xact, at.last.id.String(), at.last.orgID); err != nil {
			return err
		}
	}
	ended := slices.DeleteFunc(slices.Clone(at.seen.underWay), func(xact int64) bool {
		return xact <= began || slices.Contains(at.until.underWay, xact)
	})
	if len(ended) > 0 {
		if err := query("xact = ANY (?::bigint[])"+inOrder, bigints(ended)); err != nil {
			return err
		}
	}
	first := max(at.seen.next, began+1)
	if first >= at.until.next {
		return nil
	}
	return query("xact >= ? AND xact < ? AND xact <> ALL (?::bigint[])"+inOrder, first, at.until.next, bigints(at.until.underWay))
}

func (postgres) unread(place Place) (condition string, args []any, err error) {
	at, err := parsePosition(place)
	if err != nil {
		return "", nil, err
	}
	condition, args = "(xact >= ? OR xact = ANY (?::bigint[]))", []any{at.seen.next, bigints(at.seen.underWay)}
	if at.until != nil {
		condition += " AND (xact >= ? OR xact = ANY (?::bigint[]) OR (xact, id, org_id) > (?, ?::uuid, ?))"
		args = append(args, at.until.next, bigints(at.until.underWay), at.last.xact, at.last.id.String(), at.last.orgID)
	}
	return condition, args, nil
}

func (at position) place() Place {
	return Place(fmt.Sprintf("%s %s %d %s %d", at.seen, at.until, at.last.xact, at.last.id, at.last.orgID))
}

func parsePosition(place Place) (at position, err error) {
	if place == "" {
		return at, nil
	}
	words := strings.Split(string(place), " ")
	at.seen, err = parseSnapshot(words[0])
	if len(words) == 1 || err != nil {
		return at, err
	}
	if len(words) != 5 {
		return at, fmt.Errorf("%q is no place in the log", place)
	}
	until, err := parseSnapshot(words[1])
	if err == nil {
		at.last.xact, err = strconv.ParseInt(words[2], 10, 64)
	}
	if err == nil {
		at.last.id, err = models.ParseEntryID(words[3])
	}
	if err == nil {
		at.last.orgID, err = strconv.ParseInt(words[4], 10, 64)
	}
	at.until = &until
	return at, err
}

// parseSnapshot reads the text of a pg_snapshot: the lowest number under way, the next one, and all that are under way.
func parseSnapshot(text string) (s snapshot, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return s, fmt.Errorf("%q is no snapshot", text)
	}
	if s.next, err = strconv.ParseInt(parts[1], 10, 64); err != nil || parts[2] == "" {
		return s, err
	}
	for number := range strings.SplitSeq(parts[2], ",") {
		xact, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return s, err
		}
		s.underWay = append(s.underWay, xact)
	}
	return s, nil
}

// String is the text of a pg_snapshot.
func (s snapshot) String() string {
	lowest := s.next
	if len(s.underWay) > 0 {
		lowest = s.underWay[0]
	}
	return fmt.Sprintf("%d:%d:%s", lowest, s.next, strings.Trim(bigints(s.underWay), "{}"))
}

// bigints is an array of PostgreSQL in its text form.
func bigints(numbers []int64) string {
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = strconv.FormatInt(n, 10)
	}
	return "{" + strings.Join(texts, ",") + "}"
}
