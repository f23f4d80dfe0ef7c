package following

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// span is numbers of transactions: those from one to before another, but for some.
type span struct {
	from, next int64
	except     []int64 // in order
}

// spans are apart and in order.
type spans []span

// run is numbers to read: a span or, where that is empty, some.
type run struct {
	span
	among []int64
}

// without are the runs, in order, of all numbers that are not in read.
func (all spans) without(read spans) (left []run) {
	for _, a := range all {
		at := a.from
		for _, r := range read {
			if r.next <= a.from || r.from >= a.next {
				continue
			}
			if at < r.from {
				left = append(left, run{span: span{at, r.from, a.except}})
			}
			some := slices.DeleteFunc(slices.Clone(r.except), func(n int64) bool {
				return n < a.from || n >= a.next || slices.Contains(a.except, n)
			})
			if len(some) > 0 {
				left = append(left, run{among: some})
			}
			at = max(at, r.next)
		}
		if at < a.next {
			left = append(left, run{span: span{at, a.next, a.except}})
		}
	}
	return left
}

// reachTo reports whether none of read goes beyond all.
func (all spans) reachTo(read spans) bool {
	for _, r := range read {
		if !slices.ContainsFunc(all, func(a span) bool { return a.from <= r.from && r.next <= a.next }) {
			return false
		}
	}
	return true
}

// join adds a span behind all others.
func (all spans) join(next span) spans {
	if n := len(all); n > 0 && all[n-1].next == next.from {
		all[n-1].next = next.next
		all[n-1].except = append(all[n-1].except, next.except...)
		return all
	}
	return append(all, next)
}

// others is the condition that xact is none of the numbers.
func (all spans) others() (condition string, args []any) {
	var either []string
	var at int64
	var except []int64
	for _, s := range all {
		if at < s.from {
			either, args = append(either, "xact >= ? AND xact < ?"), append(args, at, s.from)
		}
		at, except = s.next, append(except, s.except...)
	}
	// Of numbers that are open to one side, and of a list where there were few transactions, PostgreSQL expects many
	// entries where it plans for any values; of those between two numbers few.
	const last = "9223372036854775807"
	either, args = append(either, "xact >= ? AND xact <= "+last), append(args, at)
	if len(except) > 0 {
		either, args = append(either, "xact >= ? AND xact <= ? AND xact = ANY (?::bigint[])"), append(args, slices.Min(except), slices.Max(except), bigints(except))
	}
	return "(" + strings.Join(either, " OR ") + ")", args
}

// String is each span as its first number, the one behind the last, and those that are excepted.
func (all spans) String() string {
	texts := make([]string, len(all))
	for i, s := range all {
		texts[i] = fmt.Sprintf("%d:%d:%s", s.from, s.next, strings.Trim(bigints(s.except), "{}"))
	}
	return strings.Join(texts, ";")
}

func parseSpans(text string) (all spans, err error) {
	for part := range strings.SplitSeq(text, ";") {
		s, err := parseSpan(part)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

// parseSpan also reads the text of a pg_snapshot, whose first number is the lowest that is under way.
func parseSpan(text string) (s span, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return s, fmt.Errorf("%q are no transactions", text)
	}
	if s.from, err = strconv.ParseInt(parts[0], 10, 64); err != nil {
		return s, err
	}
	if s.next, err = strconv.ParseInt(parts[1], 10, 64); err != nil || parts[2] == "" {
		return s, err
	}
	for number := range strings.SplitSeq(parts[2], ",") {
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return s, err
		}
		s.except = append(s.except, n)
	}
	return s, nil
}

// bigints is an array of PostgreSQL in its text form.
func bigints(numbers []int64) string {
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = strconv.FormatInt(n, 10)
	}
	return "{" + strings.Join(texts, ",") + "}"
}
