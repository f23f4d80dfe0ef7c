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
		receipt, err = audit.Record(audit.FromOutside(ctx), store.Writer(ctx), event)
		return recordingError(err)
	})
	return receipt, err
}

// RecordOver is RecordOne over the HTTP API of a server. A request that fails in passing is repeated
// for as long as the configuration says.
func RecordOver(ctx context.Context, config audit.ClientConfig, event audit.Event) (audit.Receipt, error) {
	client, err := audit.NewClient(config)
	if err != nil {
		return audit.Receipt{}, err
	}
	receipt, err := client.Record(ctx, event)
	return receipt, errors.Join(recordingError(err), client.Close(ctx))
}

func recordingError(err error) error {
	if err == nil {
		return nil
	}
	if field, reason, refused := audit.Refused(err); refused {
		return errors.New(field + ": " + reason)
	}
	var answered *audit.APIError
	if errors.As(err, &answered) && answered.Status >= 400 && answered.Status < 500 && !errors.Is(err, audit.ErrOutcomeUnknown) {
		return err // such as a key that is not known
	}
	return Unfinished{err}
}
