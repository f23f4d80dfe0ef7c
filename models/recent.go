package models

import "sync"

// recent is a map of what was asked for last: between generation and twice as much, once there is so much. Any number of
// goroutines may use it, and its zero value is empty.
type recent[K comparable, V any] struct {
	mutex      sync.Mutex
	new, older map[K]V
}

const generation = 1 << 16

func (r *recent[K, V]) get(key K) (value V, ok bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if value, ok = r.new[key]; ok {
		return value, true
	}
	if value, ok = r.older[key]; ok {
		r.add(key, value)
	}
	return value, ok
}

func (r *recent[K, V]) put(key K, value V) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.add(key, value)
}

// add expects the mutex to be held.
func (r *recent[K, V]) add(key K, value V) {
	if len(r.new) >= generation || r.new == nil {
		r.older, r.new = r.new, make(map[K]V)
	}
	r.new[key] = value
}
