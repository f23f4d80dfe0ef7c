package handlers

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxBuckets is how many buckets are kept at most.
const maxBuckets = 10_000

// buckets are token buckets in memory, one a key: each server counts for itself. The zero value is
// ready to use.
type buckets[K comparable] struct {
	mu   sync.Mutex
	held map[K]*rate.Limiter
}

// take takes one token of key's bucket, or returns how long to wait for one. A new bucket is full.
func (b *buckets[K]) take(key K, now time.Time, perSecond rate.Limit, atOnce int) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket, ok := b.held[key]
	if b.held == nil {
		b.held = map[K]*rate.Limiter{}
	}
	if !ok {
		// Full ones are as good as new.
		makeRoom(b.held, maxBuckets, func(other *rate.Limiter) bool { return other.TokensAt(now) >= float64(other.Burst()) })
		bucket = rate.NewLimiter(perSecond, atOnce)
		b.held[key] = bucket
	}
	if bucket.AllowN(now, 1) {
		return 0
	}
	return untilNext(bucket, now)
}

// wait is how long until key's bucket has a token, which it leaves there.
func (b *buckets[K]) wait(key K, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket, ok := b.held[key]
	if !ok || bucket.TokensAt(now) >= 1 {
		return 0
	}
	return untilNext(bucket, now)
}

func untilNext(bucket *rate.Limiter, now time.Time) time.Duration {
	missing := 1 - bucket.TokensAt(now)
	return time.Duration(missing / float64(bucket.Limit()) * float64(time.Second))
}

func (b *buckets[K]) has(key K) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.held[key]
	return ok
}

func (b *buckets[K]) forget(key K) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.held, key)
}
