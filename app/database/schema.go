package database

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/auditlogs/auditlogs/app/audit/migrate"
)

// rights are what the database's user may do beyond reading and writing rows.
type rights struct {
	Name      string
	Superuser bool
	Owns      bool // the tables of the log, or is as good as who does
	Migrates  bool // owns the schema, or may make it
}

// rights asks PostgreSQL. A SQLite file belongs to who can write it.
func (db *DB) rights(ctx context.Context) (found rights, err error) {
	if db.Write.Name() != "postgres" {
		return rights{Migrates: true}, nil
	}
	err = db.Write.WithContext(ctx).Raw(`SELECT current_user::text AS name,
	(SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
	EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('audit_entries') AND pg_has_role(relowner, 'USAGE')) AS owns,
	CASE WHEN to_regclass('audit_schema_version') IS NULL THEN COALESCE(has_schema_privilege(current_schema(), 'CREATE'), false)
		ELSE EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('audit_schema_version') AND pg_has_role(relowner, 'USAGE'))
	END AS migrates`).Scan(&found).Error
	return found, err
}

// Prepare brings the schema up to date where the database's user may, as Migrate does, and otherwise
// changes nothing. An error says what is to be done where the schema is then not this program's.
func (db *DB) Prepare(ctx context.Context) error {
	found, err := db.rights(ctx)
	if err != nil {
		return err
	}
	if found.Migrates {
		if err := db.Migrate(ctx); err != nil {
			return err
		}
	}
	there, ours, err := migrate.Versions(ctx, db.Write)
	switch {
	case err != nil:
		return err
	case there == 0:
		return fmt.Errorf("it holds no schema, and %q may not make one: run auditlogs migrate as the owner of its tables", found.Name)
	case there < ours:
		return fmt.Errorf("its schema has version %d and this program needs %d, to which %q may not bring it: run auditlogs migrate as the owner of its tables",
			there, ours, found.Name)
	case there > ours:
		return fmt.Errorf("its schema has version %d, later than this program's %d: install the version of auditlogs that made it, or a later one", there, ours)
	}
	return nil
}

// WarnOfRights tells the log where the database's user could rewrite what is recorded: the owner of a table
// can switch off what keeps its rows from being changed.
func (db *DB) WarnOfRights(ctx context.Context, log *slog.Logger) error {
	found, err := db.rights(ctx)
	if err != nil || !found.Owns {
		return err
	}
	what := "the server owns the tables of the log"
	if found.Superuser {
		what = "the server is a superuser of its database"
	}
	log.Warn(what+": whoever takes it over can rewrite entries; give it a role of its own, see docs/deployment.md, Database roles",
		"role", found.Name)
	return nil
}
