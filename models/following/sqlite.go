package following

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/auditlogs/auditlogs/models"
)

// sqlite knows a place by the entry that was read last: its organization and, behind a dot, its ID in hexadecimal
// digits, as the trigger audit_entries_leave_places writes it.
type sqlite struct{ store *models.Store }

func (s sqlite) now(ctx context.Context) (place Place, err error) {
	err = s.store.Reader(ctx).Raw("SELECT org_id || '.' || hex(id) FROM audit_entries ORDER BY rowid DESC LIMIT 1").Scan(&place).Error
	return place, err
}

const sqliteBehind = "rowid > (SELECT rowid FROM audit_entries WHERE org_id = ? AND id = ?)"

func (s sqlite) read(ctx context.Context, after Place, r *reading) (next Place, err error) {
	condition, args, err := s.unread(after)
	if err != nil {
		return "", err
	}
	if err := r.query(ctx, s.store, nil, condition+" ORDER BY rowid", args...); err != nil {
		return "", err
	}
	if n := len(r.found); n > 0 {
		last := &r.found[n-1]
		return Place(fmt.Sprintf("%d.%X", last.OrgID, last.ID[:])), nil
	}
	gone, err := s.gone(ctx, after)
	if gone {
		err = ErrPlaceGone
	}
	return after, err
}

func (s sqlite) gone(ctx context.Context, place Place) (bool, error) {
	if place == "" {
		return false, nil
	}
	_, args, err := s.unread(place)
	if err != nil {
		return false, err
	}
	var there bool
	err = s.store.Reader(ctx).Raw("SELECT EXISTS (SELECT 1 FROM audit_entries WHERE org_id = ? AND id = ?)", args...).Scan(&there).Error
	return err == nil && !there, err
}

func (sqlite) unread(place Place) (condition string, args []any, err error) {
	if place == "" {
		return "true", nil, nil
	}
	organization, digits, _ := strings.Cut(string(place), ".")
	orgID, err := strconv.ParseInt(organization, 10, 64)
	if err != nil {
		return "", nil, fmt.Errorf("%q is no place in the log", place)
	}
	id, err := hex.DecodeString(digits)
	if err != nil || len(id) != len(models.EntryID{}) {
		return "", nil, fmt.Errorf("%q is no place in the log", place)
	}
	return sqliteBehind, []any{orgID, id}, nil
}
