package app

import (
	"context"
	"errors"
	"log/slog"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/models"
)

// RecordOne records one event in the log that databaseURL names. Its error is one line that says
// which field of the event was refused, or Unfinished where the log could not be written.
func RecordOne(ctx context.Context, databaseURL string, event audit.Event, log *slog.Logger) (receipt audit.Receipt, err error) {
	err = withExistingStore(ctx, databaseURL, log, func(store *models.Store) error {
		receipt, err = audit.Record(ctx, store.Writer(ctx), event)
		return recordingError(err)
	})
	return receipt, err
}

func recordingError(err error) error {
	if err == nil {
		return nil
	}
	if field, reason, refused := audit.Refused(err); refused {
		return errors.New(field + ": " + reason)
	}
	return Unfinished{err}
}
