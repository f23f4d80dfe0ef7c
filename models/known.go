package models

import (
	"crypto/sha256"
	"strconv"
	"sync"
)

// Known remembers entities and actors of a month that committed transactions have written, so that
// batches need not look for them again. It holds the latest 2 × knownGeneration of them, about
// 50 bytes each. Any number of goroutines may use it; nil is empty and stays so.
//
// What it remembers never becomes wrong: a month of entities is deleted only once it has expired,
// and what has expired stays so.
type Known struct {
	mutex         sync.Mutex
	recent, older map[knownKey]struct{}
}

const knownGeneration = 1 << 16

// knownKey is the beginning of the SHA-256 of an entity or actor of a month.
type knownKey [16]byte

// knownNames are the entity and the actor of an entry.
type knownNames struct{ entity, actor knownKey }

func (k *Known) has(key knownKey) bool {
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
// results, has committed. It was given this Known.
func (k *Known) Add(results []InsertResult) {
	if k == nil {
		return
	}
	k.mutex.Lock()
	defer k.mutex.Unlock()
	for i := range results {
		if r := &results[i]; r.Outcome == Inserted && r.names != (knownNames{}) {
			k.add(r.names.entity)
			k.add(r.names.actor)
		}
	}
}

// add expects the mutex to be held.
func (k *Known) add(key knownKey) {
	if len(k.recent) >= knownGeneration || k.recent == nil {
		k.older, k.recent = k.recent, make(map[knownKey]struct{})
	}
	k.recent[key] = struct{}{}
}

func knownEntity(o OrganizationRef, row *entryRow) knownKey {
	return keyOf("entity", o, row.Month, row.EntityType, row.EntityID, row.NameKey)
}

func knownActor(o OrganizationRef, row *entryRow) knownKey {
	return keyOf("actor", o, row.Month, row.ActorID, row.ActorName, row.ActorEmail)
}

// keyOf hashes texts that hold no NUL.
func keyOf(kind string, o OrganizationRef, month int, texts ...string) knownKey {
	buffer := make([]byte, 0, 512)
	for _, text := range append([]string{kind, o.Slug, o.ExternalID, strconv.Itoa(month)}, texts...) {
		buffer = append(append(buffer, text...), 0)
	}
	sum := sha256.Sum256(buffer)
	return knownKey(sum[:16])
}
