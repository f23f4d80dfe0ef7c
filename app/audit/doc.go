/*
Package audit records what happened in an organization, in the database that the organization's people read it from.

There are two things here. What belongs to a change is recorded in the transaction of the change; what belongs to
none, such as a sign-in, is handed to a recorder.

# In your transaction

[Record] stores an event with the caller's own *gorm.DB. What commits is in the log, what rolls back is not:

	err := db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Delete(&service).Error; err != nil {
			return err
		}
		_, err := audit.Record(ctx, tx, audit.Event{
			Organization: "acme",
			Action:       action.ServiceDelete,
			EntityID:     service.ID,
			EntityName:   service.Name,
		})
		return err
	})

[RecordAll] stores several at once, all or none, and [Backfill] a history that was kept elsewhere. Services on
database/sql, sqlx, bun, ent or sqlc call the methods of the same names that [PostgreSQL] and [SQLite] have, with their
transaction; those on pgx the functions of package auditpgx. [Handle] is for other libraries.

The tables are made by package migrate, and an organization by [EnsureOrganization], at the latest in the transaction
of its first event.

# Recorders

A [Recorder] has transactions of its own. There are three:

  - [Batcher] writes to the database. Events of all goroutines share transactions, and so the wait for the disk.
  - client.Client sends to a server over HTTP, for services with a database of their own. With a spool no event is lost
    while the server is away.
  - audittest.Recorder keeps events in memory, for tests.

Each returns once the event is safely kept. Close it before the program ends.

# An event

[Event] says what happened (Event.Action, which package action lists), to what, where, when, and what changed
([Changes]). Who did it, and in which request, comes from the context, where middleware has left it ([WithActor],
[WithRequest]), unless the event says so itself. Automated actions are those of [System]. Credentials in metadata are
masked before they are stored.

Where audit logging is off for the organization, an event is checked all the same and nothing is stored:
Receipt.Stored is false, and there is no error. Applications need not ask beforehand.

# Errors

What is wrong with an event is found before any statement has failed: the transaction stays usable, also on PostgreSQL,
and whether to go on without the entry is the caller's to decide. It is an [*InvalidEventError] (a [fault.Field]), which
has a field, a code and a reason, or an [EventsError] of several. What is wrong with the database, or with the handle to
it, is one of [ErrNoHandle], [ErrHandleFailed], [ErrHandleClosed], [ErrWrongDialect], [ErrNoTransaction], [ErrNotMigrated],
[ErrBusy] and [ErrNoFTS5], or the database's own error. A recorder that
cannot tell whether an event is stored returns [ErrOutcomeUnknown]: recorded again with the same Event.ID it is stored
once. [Strict] refuses more: pools where a transaction should be, and actions nobody has registered.

# Packages

Each is as much as a service needs, and brings no version it does not:

	audit              this one: GORM, database/sql and what is over it
	audit/auditpgx     the same in transactions of pgx
	audit/event        what an event is; audit/event/action, the actions; audit/event/fault, why one is refused
	audit/migrate      makes the tables
	audit/client       records over HTTP; imports no database
	audit/audithttp    middleware for net/http
	audit/auditfiber   middleware for Fiber
	audit/audittest    for an application's tests

Read on with [Event], then [Record] or [NewBatcher], and the examples of both. A whole program, which opens a database,
makes the tables and records, is examples/first-event in the repository.
*/
package audit
