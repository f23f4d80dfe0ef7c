package migrate

import (
	"context"
	"fmt"

	"gorm.io/gorm"
)

// Make makes the tables of an earlier version of the schema, in a database without any: for what was kept of it then.
func Make(ctx context.Context, db *gorm.DB, version int64) error {
	pool, dialect, err := open(db)
	if err != nil {
		return err
	}
	provider, err := newProvider(pool, dialect)
	if err != nil {
		return fmt.Errorf("audit: migrate: %w", err)
	}
	if _, err := provider.UpTo(ctx, version); err != nil {
		return fmt.Errorf("audit: migrate: %w", err)
	}
	return nil
}
