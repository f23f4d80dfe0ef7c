package models

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"
)

// keyKeptFor is how long an EventKey is remembered.
const keyKeptFor = 24 * time.Hour

// EventKey is the caller's own key of an event. Within an organization the second event with a key
// is not stored until the key of the first has expired.
type EventKey struct {
	Hash [sha256.Size]byte // of the key
	// Fingerprint tells events apart: one key stands for one event.
	Fingerprint [sha256.Size]byte
}

// keyID is what an event key is found by.
type keyID struct {
	orgID int64
	hash  [sha256.Size]byte
}

type claimedKey struct {
	index   int
	orgID   int64
	key     *EventKey
	entryID EntryID
	expires Micros
	stored  bool // its event is
}

func (k *claimedKey) id() keyID { return keyID{k.orgID, k.key.Hash} }

// lateAfter is when an event comes late: its key may have expired, or it may have been back-filled, so that its
// entry is looked for.
const lateAfter = 5 * time.Minute

// claimKeys takes the keys of entries, as far as results let them be stored or passed over. Those that have been taken
// before are answered in results: as the first time, or with KeyReused. So are late ones that are stored without a key.
func claimKeys(ctx context.Context, d dialect, run Statements, entries []NewEntry, states map[OrganizationRef]organizationState,
	results []InsertResult, now time.Time) (claimed []claimedKey, err error) {
	first, again := map[keyID]int{}, map[int]int{} // again is by which of the entries one is repeated
	var keys []claimedKey
	late := map[int64][]*Entry{} // by organization
	for i := range entries {
		e, state := &entries[i], states[entries[i].Organization]
		if e.Key == nil || state.ID == 0 {
			continue
		}
		k := claimedKey{i, state.ID, e.Key, e.Entry.ID, MicrosOf(now.Add(keyKeptFor)), results[i].Outcome == Inserted}
		if earlier, listed := first[k.id()]; listed {
			again[i] = earlier
			continue
		}
		first[k.id()] = i
		keys = append(keys, k)
		if e.Entry.OccurredAt < MicrosOf(now.Add(-lateAfter)) && state.outcome(e.Entry.OccurredAt, true) == Inserted {
			late[state.ID] = append(late[state.ID], &e.Entry)
		}
	}
	for orgID, asked := range late {
		stored, err := storedBeside(ctx, d, run, orgID, asked)
		if err != nil {
			return nil, err
		}
		keys = slices.DeleteFunc(keys, func(k claimedKey) bool {
			if k.orgID != orgID {
				return false
			}
			earlier, another := stored.find(&entries[k.index])
			if another {
				results[k.index] = InsertResult{Outcome: KeyReused}
			} else if earlier != nil {
				results[k.index] = InsertResult{ID: earlier.ID, Repeated: true}
			}
			return another || earlier != nil
		})
	}
	var free, taken []claimedKey
	for _, k := range keys {
		if results[k.index].Outcome.refused() {
			taken = append(taken, k) // by the event that it may repeat
		} else {
			free = append(free, k)
		}
	}
	fresh, err := d.claimKeys(ctx, run, free)
	if err != nil {
		return nil, fmt.Errorf("claim event keys: %w", err)
	}
	for _, k := range free {
		if fresh[k.id()] {
			claimed = append(claimed, k)
		} else {
			taken = append(taken, k)
		}
	}
	if err := earlierResults(ctx, d, run, taken, results); err != nil {
		return nil, fmt.Errorf("read event keys: %w", err)
	}
	for i, earlier := range again {
		results[i] = results[earlier]
		results[i].Repeated = !results[earlier].Outcome.refused()
		if entries[earlier].Key.Fingerprint != entries[i].Key.Fingerprint {
			results[i] = InsertResult{Outcome: KeyReused}
		}
	}
	return claimed, nil
}

// earlierResults settles keys that have been taken before with what became of the event that did.
func earlierResults(ctx context.Context, d dialect, run Statements, keys []claimedKey, results []InsertResult) error {
	return eachKeyAmong(d, keys, func(keys []claimedKey, among condition) error {
		byHash := make(map[[sha256.Size]byte]*claimedKey, len(keys))
		for i := range keys {
			byHash[keys[i].key.Hash] = &keys[i]
		}
		return queryRows(ctx, run, func(rows Rows) error {
			var hash, print []byte
			var stored bool
			earlier := InsertResult{Repeated: true}
			if err := rows.Scan(&hash, &print, &earlier.ID, &stored); err != nil {
				return err
			}
			k := byHash[[sha256.Size]byte(hash)]
			switch {
			case string(print) != string(k.key.Fingerprint[:]):
				earlier = InsertResult{Outcome: KeyReused}
			case !stored:
				earlier.Outcome = LoggingOff
			}
			results[k.index] = earlier
			return nil
		}, d.rebind("SELECT key_hash, fingerprint, entry_id, stored FROM audit_event_keys WHERE "+among.sql), among.args...)
	})
}

// eachKeyAmong hands keys to fn, as many at a time as one statement takes, with the condition that a
// row of audit_event_keys is that of one of them.
func eachKeyAmong(d dialect, keys []claimedKey, fn func(keys []claimedKey, among condition) error) error {
	const most = 500
	byOrganization := map[int64][]claimedKey{}
	for _, k := range keys {
		byOrganization[k.orgID] = append(byOrganization[k.orgID], k)
	}
	for orgID, keys := range byOrganization {
		for chunk := range slices.Chunk(keys, most) {
			among := d.keyAmong(chunk)
			among = condition{sql: "org_id = ? AND " + among.sql, args: append([]any{orgID}, among.args...)}
			if err := fn(chunk, among); err != nil {
				return err
			}
		}
	}
	return nil
}

// releaseKeys gives keys back: nothing of the batch is stored.
func releaseKeys(ctx context.Context, d dialect, run Statements, keys []claimedKey) error {
	return eachKeyAmong(d, keys, func(_ []claimedKey, among condition) error {
		if _, err := run.Exec(ctx, d.rebind("DELETE FROM audit_event_keys WHERE "+among.sql), among.args...); err != nil {
			return fmt.Errorf("release event keys: %w", err)
		}
		return nil
	})
}
