package jobs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/auditlogs/auditlogs/internal/databasetest"
)

// inFakeTime runs test where time passes only while all wait, with a job in which nothing but the
// batches takes any.
func inFakeTime(t *testing.T, test func(t *testing.T, job *Retention)) {
	f := newFixture(t, databasetest.SQLite(t))
	job := f.job()
	job.config.BatchSize = 10_000
	synctest.Test(t, func(t *testing.T) {
		job.checked = time.Now().Add(time.Hour)
		test(t, job)
	})
}

func TestTheSizeOfBatchesFollowsTheTimeTheyTake(t *testing.T) {
	inFakeTime(t, func(t *testing.T, job *Retention) {
		var p batchSize
		var sizes []int
		each := 10 * time.Microsecond
		step := func(_ context.Context, size int) (more bool, err error) {
			if sizes = append(sizes, size); len(sizes) == 7 {
				each = 200 * time.Microsecond // the database is busy
			}
			time.Sleep(time.Duration(size) * each)
			return len(sizes)%10 != 0, nil
		}
		for range 2 {
			if err := job.inBatches(t.Context(), &p, step); err != nil {
				t.Fatal(err)
			}
		}
		// Towards 5 ms a batch, at most doubled at once, and never below the smallest.
		if want := "[100 200 400 500 500 500 500 125 100 100 100 100 100 100 100 100 100 100 100 100]"; fmt.Sprint(sizes) != want {
			t.Errorf("batches of %v, want %s", sizes, want)
		}
	})
}

func TestABatchThatWasNotFullDoesNotMakeTheNextLarger(t *testing.T) {
	inFakeTime(t, func(t *testing.T, job *Retention) {
		var p batchSize
		for range 3 {
			err := job.inBatches(t.Context(), &p, func(context.Context, int) (bool, error) { return false, nil })
			if err != nil || p.size != 100 {
				t.Fatalf("the next batch is of %d, %v; want 100", p.size, err)
			}
		}
	})
}

func TestBatchesOnSQLiteRestForTwiceAsLongAsTheyTook(t *testing.T) {
	inFakeTime(t, func(t *testing.T, job *Retention) {
		var p batchSize
		began, batches := time.Now(), 0
		err := job.inBatches(t.Context(), &p, func(context.Context, int) (bool, error) {
			batches++
			time.Sleep(7 * time.Millisecond)
			return batches < 3, nil
		})
		if took := time.Since(began); err != nil || took != 3*3*7*time.Millisecond {
			t.Errorf("three batches of 7 ms took %v, %v; want three times as long", took, err)
		}
	})
}

func TestBatchesOnPostgreSQLAreAThousandRowsAndDoNotRest(t *testing.T) {
	job := newFixture(t, databasetest.Postgres(t)).job()
	job.config.BatchSize = 10_000
	synctest.Test(t, func(t *testing.T) {
		job.checked = time.Now().Add(time.Hour)
		var p batchSize
		var sizes []int
		began := time.Now()
		err := job.inBatches(t.Context(), &p, func(_ context.Context, size int) (bool, error) {
			sizes = append(sizes, size)
			time.Sleep(20 * time.Millisecond) // the disk is slow
			return len(sizes) < 3, nil
		})
		if took := time.Since(began); err != nil || fmt.Sprint(sizes) != "[1000 1000 1000]" || took != 60*time.Millisecond {
			t.Errorf("batches of %v in %s, %v; want 1000 each, and no rest", sizes, took, err)
		}
	})
}

func TestRetentionTriesSmallerBatchesWhenOneTakesTooLong(t *testing.T) {
	inFakeTime(t, func(t *testing.T, job *Retention) {
		p := batchSize{size: 10_000}
		var sizes []int
		err := job.inBatches(t.Context(), &p, func(ctx context.Context, size int) (bool, error) {
			sizes = append(sizes, size)
			if size > 1000 {
				<-ctx.Done()
				return false, ctx.Err()
			}
			time.Sleep(job.config.BatchTime)
			return len(sizes) < 4, nil
		})
		if want := "[10000 2500 625 625]"; err != nil || fmt.Sprint(sizes) != want {
			t.Errorf("batches of %v, %v; want %s", sizes, err, want)
		}
		err = job.inBatches(t.Context(), &p, func(ctx context.Context, _ int) (bool, error) {
			<-ctx.Done()
			return false, ctx.Err()
		})
		if !errors.Is(err, errTooLong) || !strings.Contains(inPlainWords(err), "took too long") {
			t.Errorf("gives %v, want that it took too long", err)
		}
	})
}
