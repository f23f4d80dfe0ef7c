package models

import (
	"crypto/sha256"
	"strconv"
	"sync"
)

// NameCache remembers entities and actors of a month that committed transactions have written, so that
// batches need not look for them again. It holds the latest 2 × nameGeneration of them, about
// 50 bytes each. Any number of goroutines may use it; nil is empty and stays so.
//
// What it remembers never becomes wrong: a month of entities is deleted only once it has expired,
// and what has expired stays so.
type NameCache struct {
	mutex         sync.Mutex
	recent, older map[nameKey]struct{}
}

const nameGeneration = 1 << 16

// nameKey is the beginning of the SHA-256 of an entity or actor of a month.
type nameKey [16]byte

// entryNames are the entity and the actor of an entry; zero for what it has none of.
type entryNames struct{ entity, actor nameKey }

func (k *NameCache) has(key nameKey) bool {
	if k == nil {
		return false
	}
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if _, ok := k.recent[key]; ok {
		return true
	}
	_, ok := k.older[key]
	if ok {
		k.add(key)
	}
	return ok
}

// Add remembers what entries named; the transaction that stored them, as InsertEntries answered with
// results, has committed. It was given this cache.
func (k *NameCache) Add(results []InsertResult) {
	if k == nil {
		return
	}
	k.mutex.Lock()
	defer k.mutex.Unlock()
	for i := range results {
		if r := &results[i]; r.Outcome == Inserted && r.names != (entryNames{}) {
			k.add(r.names.entity)
			k.add(r.names.actor)
		}
	}
}

// add expects the mutex to be held.
func (k *NameCache) add(key nameKey) {
	if len(k.recent) >= nameGeneration || k.recent == nil {
		k.older, k.recent = k.recent, make(map[nameKey]struct{})
	}
	k.recent[key] = struct{}{}
}

// keyOf hashes texts that hold no NUL.
func keyOf(kind string, o OrganizationRef, month int, texts ...string) nameKey {
	buffer := make([]byte, 0, 512)
	for _, text := range append([]string{kind, o.Slug, o.ExternalID, strconv.Itoa(month)}, texts...) {
		buffer = append(append(buffer, text...), 0)
	}
	sum := sha256.Sum256(buffer)
	return nameKey(sum[:16])
}
