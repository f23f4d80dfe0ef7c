//go:build unix

package databasetest

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestAServerKeepsWhatItAcknowledgedWhateverEndsIt(t *testing.T) {
	server := StartServer(t, "log_min_messages = error")
	ctx := t.Context()
	exec := func(sql string) {
		t.Helper()
		conn, err := pgx.Connect(ctx, server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE TABLE kept (n integer PRIMARY KEY)")
	for n, end := range []func(){
		func() { server.Stop(Fast) }, func() { server.Stop(Immediate) }, server.Kill,
	} {
		exec("INSERT INTO kept SELECT COUNT(*) FROM kept")
		end()
		if conn, err := pgx.Connect(ctx, server.URL); err == nil {
			_ = conn.Close(ctx)
			t.Error("it answers although it was stopped")
		}
		server.Start()
		conn, err := pgx.Connect(ctx, server.URL)
		if err != nil {
			t.Fatal(err)
		}
		var kept int
		var fsync, messages string
		err = conn.QueryRow(ctx, "SELECT COUNT(*), current_setting('fsync'), current_setting('log_min_messages') FROM kept").
			Scan(&kept, &fsync, &messages)
		_ = conn.Close(ctx)
		if err != nil || kept != n+1 || fsync != "on" || messages != "error" {
			t.Errorf("%d rows are kept, fsync is %s, log_min_messages %s: %v", kept, fsync, messages, err)
		}
	}
}
