package live

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm/clause"

	"github.com/auditlogs/auditlogs/handlers/secrets"
	"github.com/auditlogs/auditlogs/models/following"
)

// old is the age at which a place is too old to come back with: what lies behind it may be much, of all organizations.
const old = 2 * time.Minute

// keyName is where in audit_meta the key is that places are sealed with: they name transactions, and entries, of all
// organizations. It is the same for all servers.
const keyName = "live_key"

type metaRow struct{ Key, Value string }

func (metaRow) TableName() string { return "audit_meta" }

// box seals places.
func (s *Server) box(ctx context.Context) (*secrets.Box, error) {
	s.mu.Lock()
	box := s.places
	s.mu.Unlock()
	if box != nil {
		return box, nil
	}
	find := func() (found []metaRow, err error) {
		err = s.log.Reader(ctx).Where("key = ?", keyName).Limit(1).Find(&found).Error
		return found, err
	}
	found, err := find()
	if err == nil && len(found) == 0 {
		if err = s.log.Writer(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&metaRow{keyName, secrets.NewKey()}).Error; err == nil {
			found, err = find()
		}
	}
	if err == nil && len(found) == 0 {
		err = errors.New("it is not there after it was stored")
	}
	if err == nil {
		box, err = secrets.New(found[0].Value)
	}
	if err != nil {
		return nil, fmt.Errorf("the key of places in the log: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.places = box
	return box, nil
}

func purpose(orgID int64) string { return fmt.Sprint("live:", orgID) }

// sealed is a place as those who watch an organization keep it.
func (s *Server) sealed(box *secrets.Box, orgID int64, place following.Place) string {
	plain := binary.BigEndian.AppendUint64(nil, uint64(s.log.Now().UnixMicro()))
	return base64.RawURLEncoding.EncodeToString(box.Seal(purpose(orgID), append(plain, place...)))
}

// opened is the place that a text is, of any server; nil where it is none or too old.
func (s *Server) opened(box *secrets.Box, orgID int64, text string) *following.Place {
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	plain, _, err := box.Open(purpose(orgID), sealed)
	if err != nil || len(plain) < 8 {
		return nil
	}
	if s.log.Now().Sub(time.UnixMicro(int64(binary.BigEndian.Uint64(plain)))) > old {
		return nil
	}
	place := following.Place(plain[8:])
	return &place
}
