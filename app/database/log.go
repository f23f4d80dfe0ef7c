package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// slowStatement is how long a statement may take before the log mentions it.
const slowStatement = time.Second

// statementLog writes GORM's messages to the server's log: statements that failed and slow ones,
// without their values, which may be secret.
type statementLog struct{ log *slog.Logger }

func (l statementLog) LogMode(logger.LogLevel) logger.Interface { return l }

func (l statementLog) Info(ctx context.Context, message string, data ...any) {
	l.log.InfoContext(ctx, fmt.Sprintf(message, data...))
}

func (l statementLog) Warn(ctx context.Context, message string, data ...any) {
	l.log.WarnContext(ctx, fmt.Sprintf(message, data...))
}

func (l statementLog) Error(ctx context.Context, message string, data ...any) {
	l.log.ErrorContext(ctx, fmt.Sprintf(message, data...))
}

// Trace is called after every statement.
func (l statementLog) Trace(ctx context.Context, begin time.Time, statement func() (string, int64), err error) {
	took := time.Since(begin)
	switch {
	case err != nil && !expected(err):
		sql, _ := statement()
		l.log.ErrorContext(ctx, "statement failed", "error", err, "sql", sql, "took", took)
	case took >= slowStatement:
		sql, rows := statement()
		l.log.WarnContext(ctx, "slow statement", "sql", sql, "rows", rows, "took", took)
	}
}

// ParamsFilter keeps values out of the log.
func (l statementLog) ParamsFilter(_ context.Context, sql string, _ ...any) (string, []any) {
	return sql, nil
}

// expected errors are answers: nothing found, a name that is taken, somebody who went away.
func expected(err error) bool {
	return errors.Is(err, gorm.ErrRecordNotFound) || errors.Is(err, gorm.ErrDuplicatedKey) ||
		errors.Is(err, context.Canceled)
}
