-- The four roles of an audit log on PostgreSQL. Run it once, in the database of the log, as a superuser:
--
--     psql --dbname=auditlogs --set=ON_ERROR_STOP=1 --file=roles.sql
--
-- Give each role that signs in by itself a password (\password auditlogs_server), run "auditlogs migrate" as
-- auditlogs_owner, and then grants.sql. Where the names are taken, put others in their place in both files.

CREATE ROLE auditlogs_owner    LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
CREATE ROLE auditlogs_server   LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
CREATE ROLE auditlogs_recorder LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;
CREATE ROLE auditlogs_reader   LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION;

-- Only the owner makes anything in the schema: a function of somebody else's making could stand in for one of
-- the log's. From version 15 on PostgreSQL begins like that.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO auditlogs_owner;
GRANT USAGE ON SCHEMA public TO auditlogs_server, auditlogs_recorder, auditlogs_reader;
