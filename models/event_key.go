package models

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"
)

// EventKey is the caller's own key of an event. Within an organization the second event with a key
// is not stored until the key of the first has expired.
type EventKey struct {
	Hash [sha256.Size]byte // of the key
	// Fingerprint tells events apart: one key stands for one event.
	Fingerprint [sha256.Size]byte
	// KeepFor is how long the key is remembered, from now.
	KeepFor time.Duration
}

// keyClaim is the keys that a batch has taken for itself, by the index of their entries.
type keyClaim struct {
	claimed []claimedKey
	repeats []repeatedKey // within the batch
	reused  bool          // a key stands for another event
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
	stored  bool // its event will be, by what was known of the organization
}

func (k *claimedKey) id() keyID { return keyID{k.orgID, k.key.Hash} }

type repeatedKey struct{ index, first int }

// lateAfter is when an event comes late: its key may have expired, or it may have been back-filled, so that its
// entry is looked for.
const lateAfter = 5 * time.Minute

// claimKeys takes the keys of entries. Those that have been taken before are answered in results: as
// the first time, or with KeyReused. So are late ones that are stored without a key.
func claimKeys(ctx context.Context, d dialect, run Statements, entries []NewEntry, results []InsertResult, now time.Time) (*keyClaim, error) {
	claim := &keyClaim{}
	first := map[keyID]int{}
	organizations := map[OrganizationRef]organizationState{}
	var keys []claimedKey
	late := map[int64][]*Entry{} // by organization
	for i := range entries {
		e := &entries[i]
		if e.Key == nil {
			continue
		}
		org, asked := organizations[e.Organization]
		if !asked {
			var err error
			if org, err = stateOf(ctx, d, run, e.Organization, MicrosOf(now)); err != nil {
				return nil, err
			}
			organizations[e.Organization] = org
		}
		if org.ID == 0 {
			continue // inserting it says so
		}
		id := keyID{org.ID, e.Key.Hash}
		earlier, again := first[id]
		switch {
		case !again:
			first[id] = i
			keys = append(keys, claimedKey{i, org.ID, e.Key, e.Entry.ID, MicrosOf(now.Add(e.Key.KeepFor)),
				org.outcome(e.Entry.OccurredAt, e.EvenWhenOff) != LoggingOff})
			if e.Entry.OccurredAt < MicrosOf(now.Add(-lateAfter)) && org.outcome(e.Entry.OccurredAt, true) == Inserted {
				late[org.ID] = append(late[org.ID], &e.Entry)
			}
		case entries[earlier].Key.Fingerprint != e.Key.Fingerprint:
			results[i], claim.reused = InsertResult{Outcome: KeyReused}, true
		default:
			results[i].Repeated = true
			claim.repeats = append(claim.repeats, repeatedKey{i, earlier})
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
				results[k.index], claim.reused = InsertResult{Outcome: KeyReused}, true
			} else if earlier != nil {
				results[k.index] = InsertResult{ID: earlier.ID, Repeated: true}
			}
			return another || earlier != nil
		})
	}
	if len(keys) == 0 {
		return claim, nil
	}
	fresh, err := d.claimKeys(ctx, run, keys, MicrosOf(now))
	if err != nil {
		return nil, fmt.Errorf("claim event keys: %w", err)
	}
	var taken []claimedKey
	for _, k := range keys {
		if fresh[k.id()] {
			claim.claimed = append(claim.claimed, k)
		} else {
			taken = append(taken, k)
		}
	}
	if err := earlierResults(ctx, d, run, taken, results); err != nil {
		return nil, fmt.Errorf("read event keys: %w", err)
	}
	for _, k := range taken {
		claim.reused = claim.reused || results[k.index].Outcome == KeyReused
	}
	return claim, nil
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

// release gives the claimed keys back: nothing of the batch was stored.
func (c *keyClaim) release(ctx context.Context, d dialect, run Statements) error {
	return releaseKeys(ctx, d, run, c.claimed)
}

func releaseKeys(ctx context.Context, d dialect, run Statements, keys []claimedKey) error {
	return eachKeyAmong(d, keys, func(_ []claimedKey, among condition) error {
		if _, err := run.Exec(ctx, d.rebind("DELETE FROM audit_event_keys WHERE "+among.sql), among.args...); err != nil {
			return fmt.Errorf("release event keys: %w", err)
		}
		return nil
	})
}

// repeat settles repeats within the batch as what they repeat.
func (c *keyClaim) repeat(results []InsertResult) {
	for _, r := range c.repeats {
		results[r.index] = results[r.first]
		results[r.index].Repeated = results[r.first].Outcome == Inserted || results[r.first].Outcome == LoggingOff
	}
}

// settle notes which of the claimed keys stand for events that were stored, where that is not what it seemed to be
// when they were claimed: looking for their rows costs a transaction under SERIALIZABLE dear.
func (c *keyClaim) settle(ctx context.Context, d dialect, run Statements, results []InsertResult) error {
	wrong, refused := map[bool][]claimedKey{}, []claimedKey(nil) // by what they should be
	for _, k := range c.claimed {
		switch outcome := results[k.index].Outcome; outcome {
		case Inserted, LoggingOff:
			if stored := outcome == Inserted; stored != k.stored {
				wrong[stored] = append(wrong[stored], k)
			}
		default:
			refused = append(refused, k)
		}
	}
	for stored, keys := range wrong {
		err := eachKeyAmong(d, keys, func(_ []claimedKey, among condition) error {
			_, err := run.Exec(ctx, d.rebind("UPDATE audit_event_keys SET stored = ? WHERE "+among.sql), append([]any{stored}, among.args...)...)
			return err
		})
		if err != nil {
			return fmt.Errorf("settle event keys: %w", err)
		}
	}
	return releaseKeys(ctx, d, run, refused)
}
