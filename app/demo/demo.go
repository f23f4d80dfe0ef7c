// Package demo fills an empty database with two organizations whose log looks like that of a real
// company, and keeps it growing. Everything is recorded through app/audit, as an application
// would.
package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gorm.io/gorm"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/handlers/passwords"
	"github.com/auditlogs/auditlogs/models"
	"github.com/auditlogs/auditlogs/models/accounts"
)

// Account is somebody who may sign in to the demo.
type Account struct {
	Email    string
	Password string
	Role     accounts.Role // in both organizations
}

// Password is that of the accounts the sign-in page shows.
const Password = "audit-demo"

// Accounts are the ones the sign-in page shows.
func Accounts() []Account {
	return []Account{
		{Email: maya, Password: Password, Role: accounts.RoleAdmin},
		{Email: jonas, Password: Password, Role: accounts.RoleMember},
	}
}

// ErrNotDemo means that the database is in use by others than the demo.
var ErrNotDemo = errors.New("this database holds organizations or people that are not the demo's; " +
	"demo mode fills an empty database only (--database names another one)")

// Prepare makes sure that store holds the demo: it fills an empty database, and leaves one that it
// filled before as it is. It returns ErrNotDemo, and changes nothing, where the database holds
// anything else.
//
// Everything is written in one transaction, the mark included, so a start that is interrupted
// leaves an empty database.
func Prepare(ctx context.Context, store *models.Store, logger *slog.Logger) error {
	began := time.Now()
	// Hashing takes its time, so it is not done while the transaction is open.
	hashes, err := hashPasswords(ctx)
	if err != nil {
		return fmt.Errorf("prepare the demo: %w", err)
	}
	written := 0
	err = store.Transaction(ctx, func(tx *gorm.DB) error {
		switch _, found, err := readMark(tx); {
		case err != nil:
			return err
		case found:
			return nil
		}
		if used, err := inUse(tx); err != nil {
			return err
		} else if used {
			return ErrNotDemo
		}
		written, err = fill(ctx, tx, store.Now(), hashes)
		return err
	})
	if errors.Is(err, ErrNotDemo) {
		return err
	}
	if err != nil {
		return fmt.Errorf("prepare the demo: %w", err)
	}
	if written > 0 {
		logger.Info("filled the demo", "entries", written, "took", time.Since(began).Round(time.Millisecond))
	}
	return nil
}

// Filled reports whether store holds the demo.
func Filled(ctx context.Context, store *models.Store) (bool, error) {
	_, found, err := readMark(store.Reader(ctx))
	return found, err
}

// inUse reports whether somebody has put something into the database already.
func inUse(tx *gorm.DB) (bool, error) {
	for _, table := range []string{"audit_organizations", "audit_users", "audit_entries"} {
		var one []int
		if err := tx.Table(table).Select("1").Limit(1).Find(&one).Error; err != nil {
			return false, fmt.Errorf("look into %s: %w", table, err)
		}
		if len(one) > 0 {
			return true, nil
		}
	}
	return false, nil
}

// markKey names the row of audit_meta by which the demo knows its own database. Its value is the
// moment it was filled.
const markKey = "demo"

type metaRow struct {
	Key   string
	Value string
}

func (metaRow) TableName() string { return "audit_meta" }

// readMark is when the demo filled the database, if it did.
func readMark(tx *gorm.DB) (filled time.Time, found bool, err error) {
	var rows []metaRow
	if err := tx.Where(&metaRow{Key: markKey}).Limit(1).Find(&rows).Error; err != nil {
		return filled, false, fmt.Errorf("read the demo's mark: %w", err)
	}
	if len(rows) == 0 {
		return filled, false, nil
	}
	filled, err = time.Parse(time.RFC3339Nano, rows[0].Value)
	if err != nil {
		return filled, false, fmt.Errorf("read the demo's mark: %w", err)
	}
	return filled.UTC(), true, nil
}

func writeMark(tx *gorm.DB, filled time.Time) error {
	row := metaRow{markKey, filled.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano)}
	if err := tx.Create(&row).Error; err != nil {
		return fmt.Errorf("write the demo's mark: %w", err)
	}
	return nil
}

// passwordHashes are those of the accounts on the sign-in page, and one that nobody knows the
// password of.
type passwordHashes struct{ shown, unknown string }

func hashPasswords(ctx context.Context) (hashes passwordHashes, err error) {
	if hashes.shown, err = passwords.HashAny(ctx, Password); err != nil {
		return hashes, err
	}
	hashes.unknown, err = passwords.HashAny(ctx, rand.Text())
	return hashes, err
}

// record writes down what happened, at the moment it was written down. It returns false when the
// organization's log was off.
func record(ctx context.Context, tx *gorm.DB, h happening) (stored bool, err error) {
	at := models.WithClock(tx, func() time.Time { return h.recorded })
	if h.key != (models.OriginalAPIKey{}) {
		ctx = models.WithAPIKey(ctx, h.key.ID, h.key.Name)
	}
	receipt, err := audit.Record(ctx, at, h.Event)
	if err != nil {
		return false, fmt.Errorf("record %s of %s: %w", h.Action, h.EntityID, err)
	}
	return receipt.Stored, nil
}
