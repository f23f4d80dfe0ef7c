package entries

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/auditlogs/auditlogs/app/audit/event/action"
	"github.com/auditlogs/auditlogs/models"
)

// A native action is what the sender of an event calls it. Few of them stand under one action, so they are found in the
// runs of that action; under which each stands is in audit_native_actions, a row a month.

// IsNative reports whether one of Query.Actions is a native action.
func IsNative(asked string) bool {
	entity, whole := strings.CutSuffix(asked, AnyVerb)
	return !action.Action(asked).Valid() && !(whole && action.ValidEntityType(entity))
}

// nativeAction is one that was recorded, folded, and the action it stands under.
type nativeAction struct{ Action, NativeKey string }

// knownNatives reads columns of the native actions of the months asked for; which and how many, limits says.
func (l *Log) knownNatives(ctx context.Context, p *plan, columns string, limits condition, into any) error {
	where := condition{"org_id = ?", []any{p.org.ID}}.and(p.seen()).and(limits)
	err := l.LogReader(ctx).Raw("SELECT DISTINCT "+columns+" FROM audit_native_actions WHERE "+where.sql, where.args...).Scan(into).Error
	if err != nil {
		return fmt.Errorf("search the native actions: %w", err)
	}
	return nil
}

// seen is the condition that something was seen in the months asked for.
func (p *plan) seen() condition {
	month := func(id models.EntryID) int { return models.MonthOf(models.MicrosOf(id.Occurred())) }
	return condition{"month BETWEEN ? AND ?", []any{month(p.span.from), month(previous(p.span.to))}}
}

// askNatives puts the actions that native ones stand under in the place of those. What else stands under them is left
// out, unless it is asked for as well.
func (l *Log) askNatives(ctx context.Context, p *plan) error {
	natives := slices.DeleteFunc(slices.Clone(p.query.Actions), func(asked string) bool { return !IsNative(asked) })
	if len(natives) == 0 {
		return nil
	}
	var under []string
	if err := l.knownNatives(ctx, p, "action", condition{"native_action IN ?", []any{natives}}, &under); err != nil {
		return err
	}
	p.actions = slices.DeleteFunc(slices.Clone(p.actions), IsNative)
	if under = slices.DeleteFunc(under, p.asks); len(under) > 0 {
		p.native = condition{unindexed("action") + " NOT IN ?", []any{under}}.or(condition{"native_action IN ?", []any{natives}})
		p.actions = append(p.actions, under...)
	}
	return nil
}

// nativesWith lists the native actions that hold some of the words: one more than most where there are more.
func (l *Log) nativesWith(ctx context.Context, p *plan, most int) (found []nativeAction, err error) {
	var some []string
	var args []any
	for _, word := range p.words {
		with := contains(word, "native_key")
		some, args = append(some, with.sql), append(args, with.args...)
	}
	err = l.knownNatives(ctx, p, "action, native_key",
		condition{"(" + strings.Join(some, " OR ") + ") LIMIT ?", append(args, most+1)}, &found)
	return found, err
}
