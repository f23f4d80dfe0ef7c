//go:build unix

package soak

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/auditlogs/auditlogs/app/audit"
	"github.com/auditlogs/auditlogs/app/database"
)

// batcher records with a Batcher that waits for a database that is away.
func batcher(t *testing.T, _ *rand.Rand, to target) load {
	t.Helper()
	return startRecording(t, &recording{to: to, child: "batcher",
		variables: []string{"SOAK_DATABASE=" + to.databaseURL, "SOAK_RETRY=" + patience.String()}})
}

// impatientBatcher records with a Batcher that tells its caller at once that the database is away.
func impatientBatcher(t *testing.T, _ *rand.Rand, to target) load {
	t.Helper()
	return startRecording(t, &recording{to: to, child: "batcher", failures: true,
		variables: []string{"SOAK_DATABASE=" + to.databaseURL, "SOAK_RETRY=-1ns"}})
}

// batcherChild records with a Batcher.
func batcherChild() error {
	ctx := context.Background()
	retryFor, err := time.ParseDuration(os.Getenv("SOAK_RETRY"))
	if err != nil {
		return err
	}
	db, err := database.Open(ctx, os.Getenv("SOAK_DATABASE"), slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	batcher, err := audit.NewBatcher(db.Write, audit.BatcherConfig{RetryFor: retryFor})
	if err != nil {
		return err
	}
	return errors.Join(recordAsTold(batcher, eventOf), batcher.Close(ctx), db.Close())
}
