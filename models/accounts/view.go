package accounts

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit/event/fault"
	"github.com/auditlogs/auditlogs/models"
)

// View is a question to an organization's log that is asked again, by its name.
type View struct {
	OrgID     int64  `gorm:"primaryKey;autoIncrement:false"`
	ID        string `gorm:"primaryKey"`
	OwnerID   string // of the member whose it is alone; empty where it is shared with all of them
	Name      string
	NameKey   string // the name, folded: no two views of one owner share it
	Query     string // of the log's address, in its canonical form
	CreatedAt models.Micros
}

func (View) TableName() string { return "audit_views" }

// MaxViews is how many views a member may have, and an organization may share.
const MaxViews = 50

// Shared reports whether all members have the view.
func (v View) Shared() bool { return v.OwnerID == "" }

// Views lists the views that an organization shares, and a member's own, by name.
func (s *Store) Views(ctx context.Context, orgID int64, userID string) ([]View, error) {
	var views []View
	err := s.store.Reader(ctx).Where("org_id = ? AND owner_id IN ?", orgID, []string{"", userID}).Order("name_key, id").Find(&views).Error
	if err != nil {
		return nil, fmt.Errorf("list the views of organization %d: %w", orgID, err)
	}
	return views, nil
}

// LockView reads one of the views that Views lists and the rest of tx is going to change. The caller holds the
// organization's lock. Errors: ErrNotFound.
func LockView(ctx context.Context, tx *gorm.DB, orgID int64, userID, id string) (View, error) {
	var found []View
	err := tx.WithContext(ctx).Where("org_id = ? AND id = ? AND owner_id IN ?", orgID, id, []string{"", userID}).Limit(1).Find(&found).Error
	if err != nil {
		return View{}, fmt.Errorf("find view %s of organization %d: %w", id, orgID, err)
	}
	if len(found) == 0 {
		return View{}, fmt.Errorf("view %q of organization %d: %w", id, orgID, models.ErrNotFound)
	}
	return found[0], nil
}

// CreateView adds a view with an ID of its own. The caller holds the organization's lock. Errors: *fault.Field for the
// name, also where it is taken or there are MaxViews already.
func CreateView(ctx context.Context, tx *gorm.DB, view View) (View, error) {
	others, err := viewsOf(ctx, tx, view)
	if err != nil {
		return view, err
	}
	if err := view.checkName(others); err != nil {
		return view, err
	}
	if len(others) >= MaxViews {
		return view, fault.Newf("name", fault.LimitReached, "There are %d already, which is as many as there can be. Remove one first.", MaxViews)
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // crypto/rand.Read never fails since Go 1.24
	view.ID, view.CreatedAt = hex.EncodeToString(random[:]), models.MicrosOf(models.TransactionNow(tx))
	view.NameKey = models.Fold(view.Name)
	if err := tx.WithContext(ctx).Create(&view).Error; err != nil {
		return view, fmt.Errorf("create a view of organization %d: %w", view.OrgID, err)
	}
	return view, nil
}

// RenameView gives a view, as LockView answered it, another name. Errors: *fault.Field for the name.
func RenameView(ctx context.Context, tx *gorm.DB, view View, name string) error {
	view.Name = name
	others, err := viewsOf(ctx, tx, view)
	if err != nil {
		return err
	}
	if err := view.checkName(others); err != nil {
		return err
	}
	err = tx.WithContext(ctx).Model(&View{}).Where("org_id = ? AND id = ?", view.OrgID, view.ID).
		Updates(map[string]any{"name": name, "name_key": models.Fold(name)}).Error
	if err != nil {
		return fmt.Errorf("rename view %s of organization %d: %w", view.ID, view.OrgID, err)
	}
	return nil
}

// SetViewQuery has a view, as LockView answered it, ask for something else.
func SetViewQuery(ctx context.Context, tx *gorm.DB, view View, query string) error {
	err := tx.WithContext(ctx).Model(&View{}).Where("org_id = ? AND id = ?", view.OrgID, view.ID).Update("query", query).Error
	if err != nil {
		return fmt.Errorf("change view %s of organization %d: %w", view.ID, view.OrgID, err)
	}
	return nil
}

// RemoveView removes a view, also as the one that the log begins with.
func RemoveView(ctx context.Context, tx *gorm.DB, view View) error {
	err := tx.WithContext(ctx).Where("org_id = ? AND id = ?", view.OrgID, view.ID).Delete(&View{}).Error
	if err == nil {
		err = tx.WithContext(ctx).Model(&Membership{}).Where("org_id = ? AND default_view = ?", view.OrgID, view.ID).Update("default_view", "").Error
	}
	if err != nil {
		return fmt.Errorf("remove view %s of organization %d: %w", view.ID, view.OrgID, err)
	}
	return nil
}

// SetDefaultView has the log begin with a view for a member; with "" it begins with all entries.
func SetDefaultView(ctx context.Context, tx *gorm.DB, orgID int64, userID, id string) error {
	err := tx.WithContext(ctx).Model(&Membership{}).Where("org_id = ? AND user_id = ?", orgID, userID).Update("default_view", id).Error
	if err != nil {
		return fmt.Errorf("set the default view of %s in organization %d: %w", userID, orgID, err)
	}
	return nil
}

// viewsOf are the other views of the same owner.
func viewsOf(ctx context.Context, tx *gorm.DB, view View) (others []View, err error) {
	err = tx.WithContext(ctx).Where("org_id = ? AND owner_id = ? AND id <> ?", view.OrgID, view.OwnerID, view.ID).Find(&others).Error
	if err != nil {
		return nil, fmt.Errorf("list the views of organization %d: %w", view.OrgID, err)
	}
	return others, nil
}

func (v View) checkName(others []View) error {
	if err := models.CheckName(v.Name); err != nil {
		return err
	}
	key := models.Fold(v.Name)
	if strings.TrimSpace(key) == "" {
		return fault.Newf("name", fault.Required, "Enter a name that can be seen.")
	}
	if slices.ContainsFunc(others, func(other View) bool { return other.NameKey == key }) {
		return fault.Newf("name", fault.Taken, "There is a view of this name already.")
	}
	return nil
}
