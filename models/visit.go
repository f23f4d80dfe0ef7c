package models

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync/atomic"
)

// Position is how far the changes of a database have come: on PostgreSQL the log sequence number, in
// bytes. A copy of the database that has come as far shows all that was committed before.
type Position int64

// Visit is one request of somebody who reads the log, which may be kept in copies that follow the
// primary database a moment behind. All questions of a visit are answered by one copy, so that they
// fit together; or, from some question on, by the primary, which has all that any copy has. What the
// visitor has changed themselves, before the visit or in it, is always seen.
//
// A context without a visit reads from the primary.
type Visit struct {
	visitor string
	seen    Position
	wrote   atomic.Bool
	copy    atomic.Int32 // its number from 1; zero: not chosen yet
}

// onPrimary stands for a copy, once the visit has none any more.
const onPrimary = -1

type visitKey struct{}

// WithVisit begins a visit. Visits of one visitor are answered by the same copy as long as it can,
// so that a page loaded again is no older than before. seen is where the primary was after the last
// change the visitor made.
func WithVisit(ctx context.Context, visitor string, seen Position) (context.Context, *Visit) {
	visit := &Visit{visitor: visitor, seen: seen}
	return context.WithValue(ctx, visitKey{}, visit), visit
}

// AsBefore begins the visit of ctx anew, as if it had changed nothing: for questions whose answers
// leave out what it has changed.
func AsBefore(ctx context.Context) context.Context {
	visit := VisitOf(ctx)
	if visit == nil {
		return ctx
	}
	ctx, _ = WithVisit(ctx, visit.visitor, visit.seen)
	return ctx
}

// VisitOf is the visit that ctx belongs to; nil, which has all methods, for none.
func VisitOf(ctx context.Context) *Visit {
	visit, _ := ctx.Value(visitKey{}).(*Visit)
	return visit
}

// Copy returns which of n copies, from 0, the visit's next question goes to; ok is false where that is
// the primary. at says where a copy is, and whether it can be asked.
func (v *Visit) Copy(n int, at func(copy int) (Position, bool)) (copy int, ok bool) {
	if v == nil || v.wrote.Load() {
		return 0, false
	}
	can := func(copy int) bool {
		position, ok := at(copy)
		return ok && position >= v.seen
	}
	switch chosen := int(v.copy.Load()); {
	case chosen > 0 && can(chosen-1):
		return chosen - 1, true
	case chosen == 0:
		hash := fnv.New32a()
		_, _ = hash.Write([]byte(v.visitor))
		for i := range n {
			if copy := (int(hash.Sum32()%uint32(n)) + i) % n; can(copy) {
				v.copy.Store(int32(copy + 1))
				return copy, true
			}
		}
	}
	v.copy.Store(onPrimary)
	return 0, false
}

// LeaveCopies has the primary answer the rest of the visit, and reports whether that is new.
func (v *Visit) LeaveCopies() bool {
	return v != nil && v.copy.Swap(onPrimary) != onPrimary && !v.wrote.Load()
}

// Wrote reports whether a transaction of the visit has committed.
func (v *Visit) Wrote() bool { return v != nil && v.wrote.Load() }

// noteWriting notes that a transaction of the visit that ctx belongs to has committed.
func noteWriting(ctx context.Context) {
	if visit := VisitOf(ctx); visit != nil {
		visit.wrote.Store(true)
	}
}

// Position is where the primary is now: what visits that follow a change must see. It is zero where
// the log has no copies.
func (s *Store) Position(ctx context.Context) (Position, error) {
	if !s.copies {
		return 0, nil
	}
	var position Position
	if err := s.Writer(ctx).Raw(writtenUpTo).Scan(&position).Error; err != nil {
		return 0, fmt.Errorf("ask how far the database has come: %w", err)
	}
	return position, nil
}
