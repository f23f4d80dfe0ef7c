package following

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/auditlogs/auditlogs/models"
)

// consumer is somebody who follows the log, and up to where.
type consumer struct {
	Name   string
	Place  Place
	ReadAt models.Micros
}

func (consumer) TableName() string { return "audit_consumers" }

// Join has a consumer that has not followed the log before begin at a place, and returns its place.
func (l *Log) Join(ctx context.Context, name string, begin Place) (Place, error) {
	c := consumer{Name: name, Place: begin, ReadAt: models.MicrosOf(l.store.Now())}
	err := l.store.Writer(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&c).Error
	if err != nil {
		return "", fmt.Errorf("join the consumer %s: %w", name, err)
	}
	place, _, err := PlaceOf(l.store.Reader(ctx), name)
	return place, err
}

// PlaceOf is how far a consumer has read, in the transaction or by the pool db; joined is false where it has not begun.
func PlaceOf(db *gorm.DB, name string) (place Place, joined bool, err error) {
	var found []consumer
	if err = db.Where("name = ?", name).Limit(1).Find(&found).Error; err != nil {
		return "", false, fmt.Errorf("find the place of the consumer %s: %w", name, err)
	}
	if len(found) == 0 {
		return "", false, nil
	}
	return found[0].Place, true, nil
}

// Advance moves a consumer on in tx, and reports whether it was at the place from. Of two that do so at once one waits
// for the other, and is then not at its place.
func Advance(tx *gorm.DB, name string, from, to Place) (moved bool, err error) {
	result := tx.Model(&consumer{}).Where("name = ? AND place = ?", name, from).
		Updates(map[string]any{"place": to, "read_at": models.MicrosOf(models.TransactionNow(tx))})
	if result.Error != nil {
		return false, fmt.Errorf("move the consumer %s on: %w", name, result.Error)
	}
	return result.RowsAffected == 1, nil
}

// Lag is how long ago the oldest of what a consumer has not read was recorded: 0 where there is nothing.
func (l *Log) Lag(ctx context.Context, name string) (time.Duration, error) {
	place, joined, err := PlaceOf(l.store.Reader(ctx), name)
	if err != nil || !joined {
		return 0, err
	}
	batch, err := l.Read(ctx, place, Needs{}, 1)
	if err != nil || len(batch.Entries) == 0 {
		return 0, err
	}
	return max(0, l.store.Now().Sub(batch.Entries[0].RecordedAt.Time())), nil
}
