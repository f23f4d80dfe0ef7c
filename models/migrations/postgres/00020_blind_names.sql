-- +goose Up

-- Whoever records waits behind a statement that waits for a lock. Package migrate tries again.
SET LOCAL lock_timeout = '200ms';

-- Under SERIALIZABLE names are added without a look for those that are there, and merged by the clean-up, which finds
-- them by their IDs.
ALTER TABLE audit_entities ALTER COLUMN id SET DEFAULT CASE WHEN current_setting('transaction_isolation') = 'serializable'
    THEN overlay(gen_random_uuid()::text PLACING '00000000' FROM 1)::uuid ELSE gen_random_uuid() END;
ALTER TABLE audit_actors ALTER COLUMN id SET DEFAULT CASE WHEN current_setting('transaction_isolation') = 'serializable'
    THEN overlay(gen_random_uuid()::text PLACING '00000000' FROM 1)::uuid ELSE gen_random_uuid() END;
ALTER TABLE audit_native_actions ALTER COLUMN id SET DEFAULT CASE WHEN current_setting('transaction_isolation') = 'serializable'
    THEN overlay(gen_random_uuid()::text PLACING '00000000' FROM 1)::uuid ELSE gen_random_uuid() END;

-- +goose Down
ALTER TABLE audit_native_actions ALTER COLUMN id SET DEFAULT gen_random_uuid();
ALTER TABLE audit_actors ALTER COLUMN id SET DEFAULT gen_random_uuid();
ALTER TABLE audit_entities ALTER COLUMN id SET DEFAULT gen_random_uuid();
