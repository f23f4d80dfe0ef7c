package app

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestServersThatStartAtOnceAgreeOnTheKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db.key")
	var servers sync.WaitGroup
	keys := make([]string, 16)
	for i := range keys {
		servers.Go(func() {
			var err error
			if keys[i], err = keyFile(path, true); err != nil {
				t.Error(err)
			}
		})
	}
	servers.Wait()
	for _, key := range keys {
		if key == "" || key != keys[0] {
			t.Fatalf("the keys differ: %q", keys)
		}
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
		t.Errorf("left over: %v, %v", files, err)
	}
}
