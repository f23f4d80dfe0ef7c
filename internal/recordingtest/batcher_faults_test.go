package recordingtest

import (
	"context"
	"database/sql"
	"sync"
	"testing"

	"gorm.io/gorm"
)

// faults is a pool in which transactions go wrong as a test wants them to.
type faults struct {
	*sql.DB
	mutex  sync.Mutex
	begin  func() error
	insert func()
	// commit is called instead of a transaction's Commit, which it may call or not. ctx is the
	// transaction's.
	commit func(ctx context.Context, commit func() error) error
}

// withFaults is db, with transactions that go wrong.
func withFaults(t *testing.T, db *gorm.DB) (*gorm.DB, *faults) {
	t.Helper()
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	f := &faults{DB: pool}
	session := db.Session(&gorm.Session{NewDB: true, Context: t.Context()})
	session.Statement.ConnPool = f
	return session, f
}

func (f *faults) onBegin(hook func() error) { f.mutex.Lock(); f.begin = hook; f.mutex.Unlock() }
func (f *faults) onInsert(hook func())      { f.mutex.Lock(); f.insert = hook; f.mutex.Unlock() }
func (f *faults) onCommit(hook func(ctx context.Context, commit func() error) error) {
	f.mutex.Lock()
	f.commit = hook
	f.mutex.Unlock()
}

func (f *faults) hooks() (begin func() error, insert func(), commit func(context.Context, func() error) error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.begin, f.insert, f.commit
}

// BeginTx is how GORM begins a transaction of a pool that is not a *sql.DB.
func (f *faults) BeginTx(ctx context.Context, options *sql.TxOptions) (gorm.ConnPool, error) {
	begin, insert, commit := f.hooks()
	if begin != nil {
		if err := begin(); err != nil {
			return nil, err
		}
	}
	tx, err := f.DB.BeginTx(ctx, options)
	if err != nil {
		return nil, err
	}
	if insert != nil {
		defer func() {
			if problem := recover(); problem != nil {
				_ = tx.Rollback()
				panic(problem)
			}
		}()
		insert()
	}
	return &faultyTx{tx, ctx, commit}, nil
}

type faultyTx struct {
	*sql.Tx
	ctx    context.Context
	commit func(ctx context.Context, commit func() error) error
}

func (tx *faultyTx) Commit() error {
	if tx.commit == nil {
		return tx.Tx.Commit()
	}
	return tx.commit(tx.ctx, tx.Tx.Commit)
}
