-- +goose Up

-- Whoever records waits behind a statement that waits for a lock. Package migrate tries again.
SET LOCAL lock_timeout = '200ms';

-- Who made a reset link, and in which organization: the link ends with their rights. Both are empty
-- for an operator's. Nobody knows who made those that are open now, which are at most a day old.
DELETE FROM audit_password_resets;
ALTER TABLE audit_password_resets ADD COLUMN made_by text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE audit_password_resets ADD COLUMN org_id bigint NOT NULL DEFAULT 0;
CREATE INDEX audit_password_resets_by_user ON audit_password_resets (user_id);
CREATE INDEX audit_password_resets_by_org ON audit_password_resets (org_id, created_at);

-- Invitations of people who are no admins any more.
DELETE FROM audit_invitations WHERE used_at = 0 AND invited_by <> '' AND NOT EXISTS (
    SELECT 1 FROM audit_memberships AS m
    WHERE m.org_id = audit_invitations.org_id AND m.user_id = audit_invitations.invited_by AND m.role = 'admin');

-- With what and from where a session was last used, for the list of one's own.
ALTER TABLE audit_sessions ADD COLUMN user_agent text NOT NULL DEFAULT '';
ALTER TABLE audit_sessions ADD COLUMN ip text NOT NULL DEFAULT '';

-- Browsers that somebody signed in with: their sign-ins are counted by themselves. Only the SHA-256
-- of the cookie's token is kept.
CREATE TABLE audit_known_devices (
    token_hash   bytea  PRIMARY KEY,
    user_id      text COLLATE "C" NOT NULL,
    created_at   bigint NOT NULL,
    expires_at   bigint NOT NULL
);
CREATE INDEX audit_known_devices_by_user ON audit_known_devices (user_id, created_at);

-- How many organizations somebody has made, deleted ones included.
ALTER TABLE audit_users ADD COLUMN organizations_made integer NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE audit_users DROP COLUMN organizations_made;
DROP TABLE audit_known_devices;
ALTER TABLE audit_sessions DROP COLUMN ip;
ALTER TABLE audit_sessions DROP COLUMN user_agent;
DROP INDEX audit_password_resets_by_org;
DROP INDEX audit_password_resets_by_user;
ALTER TABLE audit_password_resets DROP COLUMN org_id;
ALTER TABLE audit_password_resets DROP COLUMN made_by;
