package secrets

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"gorm.io/gorm/clause"

	"github.com/auditlogs/auditlogs/models"
)

// Shared has a box that all servers of a database share: its key is kept there, and made when it is first asked for. What
// it seals is kept from those it is sent to, not from who reads the database.
type Shared struct {
	store *models.Store
	name  string // of the key, in audit_meta

	mu  sync.Mutex
	box *Box // nil until the key is known
}

// NewShared is the box whose key has a name.
func NewShared(store *models.Store, name string) *Shared { return &Shared{store: store, name: name} }

type metaRow struct{ Key, Value string }

func (metaRow) TableName() string { return "audit_meta" }

// Box returns the box.
func (s *Shared) Box(ctx context.Context) (*Box, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.box != nil {
		return s.box, nil
	}
	find := func() (found []metaRow, err error) {
		err = s.store.Reader(ctx).Where("key = ?", s.name).Limit(1).Find(&found).Error
		return found, err
	}
	found, err := find()
	if err == nil && len(found) == 0 {
		if err = s.store.Writer(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&metaRow{s.name, NewKey()}).Error; err == nil {
			found, err = find()
		}
	}
	if err == nil && len(found) == 0 {
		err = errors.New("it is not there after it was stored")
	}
	if err == nil {
		s.box, err = New(found[0].Value)
	}
	if err != nil {
		return nil, fmt.Errorf("the key %s: %w", s.name, err)
	}
	return s.box, nil
}
