package handlers

import "maps"

// makeRoom keeps a map in memory bounded before a value is added: those that can be spared go first, and
// then any.
func makeRoom[K comparable, V any](held map[K]V, most int, spared func(V) bool) {
	if len(held) < most {
		return
	}
	maps.DeleteFunc(held, func(_ K, value V) bool { return spared(value) })
	for key := range held {
		if len(held) < most {
			return
		}
		delete(held, key)
	}
}
