package models

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
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
}

func (k *claimedKey) id() keyID { return keyID{k.orgID, k.key.Hash} }

type repeatedKey struct{ index, first int }

// claimKeys takes the keys of entries. Those that have been taken before are answered in results: as
// the first time, or with KeyReused.
func claimKeys(ctx context.Context, d dialect, run statements, entries []NewEntry, results []InsertResult, now time.Time) (*keyClaim, error) {
	claim := &keyClaim{}
	first := map[keyID]int{}
	organizations := map[OrganizationRef]int64{}
	var keys []claimedKey
	for i := range entries {
		e := &entries[i]
		if e.Key == nil {
			continue
		}
		orgID, asked := organizations[e.Organization]
		if !asked {
			var err error
			if orgID, err = organizationID(ctx, d, run, e.Organization); err != nil {
				return nil, err
			}
			organizations[e.Organization] = orgID
		}
		if orgID == 0 {
			continue // inserting it says so
		}
		id := keyID{orgID, e.Key.Hash}
		earlier, again := first[id]
		switch {
		case !again:
			first[id] = i
			keys = append(keys, claimedKey{i, orgID, e.Key, e.Entry.ID, MicrosOf(now.Add(e.Key.KeepFor))})
		case entries[earlier].Key.Fingerprint != e.Key.Fingerprint:
			results[i], claim.reused = InsertResult{Outcome: KeyReused}, true
		default:
			results[i].Repeated = true
			claim.repeats = append(claim.repeats, repeatedKey{i, earlier})
		}
	}
	if len(keys) == 0 {
		return claim, nil
	}
	fresh, err := d.claimKeys(ctx, run, keys, MicrosOf(now))
	if err != nil {
		return nil, fmt.Errorf("claim event keys: %w", err)
	}
	for _, k := range keys {
		if fresh[k.id()] {
			claim.claimed = append(claim.claimed, k)
			continue
		}
		if results[k.index], err = earlierResult(ctx, d, run, k); err != nil {
			return nil, fmt.Errorf("read an event key: %w", err)
		}
		claim.reused = claim.reused || results[k.index].Outcome == KeyReused
	}
	return claim, nil
}

// organizationID is 0 where there is no such organization.
func organizationID(ctx context.Context, d dialect, run statements, ref OrganizationRef) (id int64, err error) {
	column, value := ref.column()
	err = queryRows(ctx, run, func(rows *sql.Rows) error { return rows.Scan(&id) },
		d.rebind("SELECT id FROM audit_organizations WHERE "+column+" = ?"), value)
	return id, err
}

// earlierResult is what became of the event that has taken the key before.
func earlierResult(ctx context.Context, d dialect, run statements, k claimedKey) (InsertResult, error) {
	result := InsertResult{Repeated: true}
	var print []byte
	var stored bool
	err := queryRows(ctx, run, func(rows *sql.Rows) error { return rows.Scan(&print, &result.ID, &stored) },
		d.rebind("SELECT fingerprint, entry_id, stored FROM audit_event_keys WHERE org_id = ? AND key_hash = ?"), k.orgID, k.key.Hash[:])
	switch {
	case err != nil:
		return InsertResult{}, err
	case string(print) != string(k.key.Fingerprint[:]):
		return InsertResult{Outcome: KeyReused}, nil
	case !stored:
		result.Outcome = LoggingOff
	}
	return result, nil
}

// release gives the claimed keys back: nothing of the batch was stored.
func (c *keyClaim) release(ctx context.Context, d dialect, run statements) error {
	for _, k := range c.claimed {
		_, err := run.ExecContext(ctx, d.rebind("DELETE FROM audit_event_keys WHERE org_id = ? AND key_hash = ?"), k.orgID, k.key.Hash[:])
		if err != nil {
			return fmt.Errorf("release an event key: %w", err)
		}
	}
	return nil
}

// settle notes which of the claimed keys stand for events that were not stored, and answers repeats
// within the batch as what they repeat.
func (c *keyClaim) settle(ctx context.Context, d dialect, run statements, results []InsertResult) error {
	for _, k := range c.claimed {
		var err error
		switch results[k.index].Outcome {
		case Inserted:
		case LoggingOff:
			_, err = run.ExecContext(ctx, d.rebind("UPDATE audit_event_keys SET stored = ? WHERE org_id = ? AND key_hash = ?"),
				false, k.orgID, k.key.Hash[:])
		default:
			_, err = run.ExecContext(ctx, d.rebind("DELETE FROM audit_event_keys WHERE org_id = ? AND key_hash = ?"), k.orgID, k.key.Hash[:])
		}
		if err != nil {
			return fmt.Errorf("settle an event key: %w", err)
		}
	}
	for _, r := range c.repeats {
		results[r.index] = results[r.first]
		results[r.index].Repeated = results[r.first].Outcome == Inserted || results[r.first].Outcome == LoggingOff
	}
	return nil
}
