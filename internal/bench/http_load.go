package main

import (
	"context"
	"fmt"
	"math"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

const (
	// workers are the connections that ask again as soon as they are answered.
	workers = 8
	// openWorkers is how many requests at a fixed rate may be under way at a time.
	openWorkers = 128
	// held is the latency under which a rate counts as held, 99 times in 100.
	held = 50 * time.Millisecond
)

// asked is what a server did while it was asked.
type asked struct {
	requests uint64
	rate     float64 // answers a second
	p50, p99 time.Duration
	cpu      time.Duration // the server's, for one request
}

// asker asks a server for targets in turn.
type asker struct {
	server  *process
	targets []vegeta.Target
}

// flatOut asks with so many connections, each as fast as it is answered.
func (a asker) flatOut(ctx context.Context, connections uint64, duration time.Duration) (asked, error) {
	return a.ask(ctx, vegeta.Rate{}, connections, duration)
}

// times asks so often, with all workers.
func (a asker) times(ctx context.Context, n uint64) (asked, error) {
	return a.ask(ctx, counted(n), workers, 0)
}

// counted paces so many requests, as fast as they are answered.
type counted uint64

func (n counted) Pace(_ time.Duration, hits uint64) (time.Duration, bool) {
	return 0, hits >= uint64(n)
}
func (n counted) Rate(time.Duration) float64 { return 0 }

// at asks at a fixed rate, whether answered or not.
func (a asker) at(ctx context.Context, rate float64, duration time.Duration) (asked, error) {
	return a.ask(ctx, vegeta.Rate{Freq: int(math.Round(rate)), Per: time.Second}, openWorkers, duration)
}

// highest looks for the highest rate that is held, up to a twentieth, beginning with a guess.
func (a asker) highest(ctx context.Context, guess float64, duration time.Duration) (float64, error) {
	low, high := 0.0, math.Inf(1)
	for rate := guess; high-low > low/20; {
		holds, err := a.holds(ctx, rate, duration)
		if err != nil {
			return 0, err
		}
		if holds {
			low = rate
		} else {
			high = rate
		}
		switch {
		case high <= 2:
			return 0, nil
		case math.IsInf(high, 1):
			rate = low * 1.3
		case low == 0:
			rate = high / 1.5
		default:
			rate = (low + high) / 2
		}
	}
	return math.Round(low), nil
}

// holds reports whether a rate is held, in one of two tries: whatever else the machine does may spoil one.
func (a asker) holds(ctx context.Context, rate float64, duration time.Duration) (bool, error) {
	for range 2 {
		found, err := a.at(ctx, rate, duration)
		if err != nil || found.p99 < held && found.rate >= 0.97*math.Round(rate) {
			return err == nil, err
		}
	}
	return false, nil
}

func (a asker) ask(ctx context.Context, pacer vegeta.Pacer, connections uint64, duration time.Duration) (asked, error) {
	attacker := vegeta.NewAttacker(vegeta.Workers(min(connections, workers)), vegeta.MaxWorkers(connections),
		vegeta.Connections(int(connections)), vegeta.MaxBody(0), vegeta.Redirects(vegeta.NoFollow), vegeta.HTTP2(false))
	defer context.AfterFunc(ctx, func() { attacker.Stop() })()
	before, err := a.server.cpu()
	if err != nil {
		return asked{}, err
	}
	var m vegeta.Metrics
	for result := range attacker.Attack(vegeta.NewStaticTargeter(a.targets...), pacer, duration, "") {
		m.Add(result)
	}
	m.Close()
	after, err := a.server.cpu()
	switch {
	case err != nil:
		return asked{}, err
	case ctx.Err() != nil:
		return asked{}, ctx.Err()
	case m.Success < 1:
		return asked{}, fmt.Errorf("%s: %d of %d requests failed: %v", a.targets[0].URL, m.Requests-uint64(m.Success*float64(m.Requests)), m.Requests, m.Errors)
	}
	return asked{
		requests: m.Requests, rate: m.Throughput, p50: m.Latencies.P50, p99: m.Latencies.P99,
		cpu: (after - before) / time.Duration(max(m.Requests, 1)),
	}, nil
}
