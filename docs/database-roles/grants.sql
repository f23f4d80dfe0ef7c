-- What the roles of roles.sql may do. Run it as auditlogs_owner after every "auditlogs migrate": a later
-- version may have more tables.
--
--     psql --dbname=auditlogs --set=ON_ERROR_STOP=1 --username=auditlogs_owner --file=grants.sql
--
-- Nobody but the owner of a table can switch off its triggers, and nobody here is granted TRUNCATE or TRIGGER.

-- auditlogs_server is for "auditlogs serve": pages, API, clean-up, sign-in. It can delete entries, as the
-- clean-up does, and cannot change them.
GRANT SELECT, DELETE ON audit_entries TO auditlogs_server;
GRANT SELECT, INSERT, DELETE ON audit_related, audit_on_behalf_of TO auditlogs_server;
GRANT SELECT, INSERT ON audit_settings_changes TO auditlogs_server;
GRANT SELECT, INSERT, UPDATE ON audit_organizations TO auditlogs_server;
GRANT SELECT, INSERT, DELETE ON audit_entities, audit_actors, audit_native_actions TO auditlogs_server;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    audit_access_log,
    audit_api_keys,
    audit_cleanups,
    audit_consumers,
    audit_counts,
    audit_event_keys,
    audit_github_connections,
    audit_github_deliveries,
    audit_idempotency_keys,
    audit_invitations,
    audit_jobs,
    audit_known_devices,
    audit_last_changes,
    audit_memberships,
    audit_meta,
    audit_metadata_blocks,
    audit_metadata_heads,
    audit_metadata_pages,
    audit_metadata_runs,
    audit_password_resets,
    audit_resource_links,
    audit_restrictions,
    audit_sessions,
    audit_setup_tokens,
    audit_users,
    audit_views
    TO auditlogs_server;
GRANT SELECT ON audit_schema_version, audit_registered_actions TO auditlogs_server;

-- The clean-up deletes by these two. They run with the rights of who calls them, so they give nobody more than
-- DELETE above does: SECURITY DEFINER would, and a procedure that commits cannot be that.
REVOKE ALL ON FUNCTION audit_delete_entries(bigint, uuid, uuid, uuid) FROM PUBLIC;
REVOKE ALL ON PROCEDURE audit_delete_in_steps(bigint, uuid, uuid[], uuid, boolean, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit_delete_entries(bigint, uuid, uuid, uuid) TO auditlogs_server;
GRANT EXECUTE ON PROCEDURE audit_delete_in_steps(bigint, uuid, uuid[], uuid, boolean, bigint) TO auditlogs_server;

-- Recording asks it for the number of its transaction, and who follows the log for that of a place.
GRANT EXECUTE ON FUNCTION audit_transactions_before() TO auditlogs_server, auditlogs_recorder, auditlogs_reader;

-- What an entity is found by; recording evaluates it for the index.
GRANT EXECUTE ON FUNCTION audit_trigrams(bigint, text) TO auditlogs_server, auditlogs_recorder, auditlogs_reader;

-- auditlogs_recorder is for an application that records with audit.Record, RecordAll, Backfill or a Batcher in
-- a database it shares with the log: GRANT auditlogs_recorder TO the application's own role. It adds entries.
-- It reads no more of them than recording asks for, and changes and deletes none.
GRANT SELECT (ctid, xact, org_id, id, action, entity_type, entity_id, entity_name, actor_id, actor_key, actor_name,
    actor_email, source, url, metadata, outcome, reason, native_action, actor_type, parts) ON audit_entries TO auditlogs_recorder;
GRANT SELECT, INSERT ON audit_related, audit_on_behalf_of, audit_entities, audit_actors, audit_native_actions, audit_registered_actions
    TO auditlogs_recorder;
GRANT SELECT, INSERT, UPDATE, DELETE ON audit_event_keys TO auditlogs_recorder;
-- INSERT is for audit.EnsureOrganization; leave it out where an organization is made in the web app.
GRANT SELECT, INSERT ON audit_organizations TO auditlogs_recorder;
GRANT SELECT ON audit_schema_version TO auditlogs_recorder;

-- Both add entries, and neither says of which transaction one is (xact): nothing is added to an entry of an earlier one.
BEGIN;
REVOKE INSERT ON audit_entries FROM auditlogs_server, auditlogs_recorder;
GRANT INSERT (org_id, id, occurred_at, recorded_at, action, entity_type, entity_id, entity_name, actor_id, actor_key,
    actor_name, actor_email, source, ip, user_agent, request_id, api_key_id, api_key_name, url, metadata, origin, original,
    outcome, reason, native_action, actor_type, masked, parts) ON audit_entries TO auditlogs_server, auditlogs_recorder;
COMMIT;

-- auditlogs_reader reads the log, of all organizations: for reports, and for --read-database. Accounts, sessions,
-- keys, links and secrets are none of it.
GRANT SELECT ON
    audit_actors,
    audit_cleanups,
    audit_consumers,
    audit_counts,
    audit_entities,
    audit_entries,
    audit_metadata_blocks,
    audit_metadata_heads,
    audit_metadata_pages,
    audit_metadata_runs,
    audit_native_actions,
    audit_on_behalf_of,
    audit_organizations,
    audit_registered_actions,
    audit_related,
    audit_resource_links,
    audit_schema_version,
    audit_settings_changes
    TO auditlogs_reader;

-- The log as a view for reports: see docs/schema.md, also for a role that reads one organization only.
GRANT SELECT ON audit_log TO auditlogs_reader;
