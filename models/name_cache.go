package models

import (
	"crypto/sha256"
	"strconv"
)

// NameCache remembers entities and actors of a month that committed transactions have written, so that
// batches need not look for them again. It takes about 50 bytes for each. Any number of goroutines may use it; nil is
// empty and stays so.
//
// What it remembers never becomes wrong: a month of entities is deleted only once it has expired,
// and what has expired stays so.
type NameCache struct{ names recent[nameKey, struct{}] }

// nameKey is the beginning of the SHA-256 of an entity or actor of a month.
type nameKey [16]byte

// entryNames are the entity and the actor of an entry; zero for what it has none of.
type entryNames struct{ entity, actor nameKey }

func (k *NameCache) has(key nameKey) bool {
	if k == nil {
		return false
	}
	_, ok := k.names.get(key)
	return ok
}

// Add remembers what entries named; the transaction that stored them, as InsertEntries answered with
// results, has committed. It was given this cache.
func (k *NameCache) Add(results []InsertResult) {
	if k == nil {
		return
	}
	for i := range results {
		if names := results[i].names; names != (entryNames{}) {
			k.names.put(names.entity, struct{}{})
			k.names.put(names.actor, struct{}{})
		}
	}
}

// keyOf hashes texts that hold no NUL.
func keyOf(kind string, orgID int64, month int, texts ...string) nameKey {
	buffer := strconv.AppendInt(append(make([]byte, 0, 512), kind...), orgID, 10)
	buffer = append(strconv.AppendInt(append(buffer, 0), int64(month), 10), 0)
	for _, text := range texts {
		buffer = append(append(buffer, text...), 0)
	}
	sum := sha256.Sum256(buffer)
	return nameKey(sum[:16])
}
