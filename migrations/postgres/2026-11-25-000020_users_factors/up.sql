-- Second factors, and who somebody is to another service.
ALTER TABLE users ADD COLUMN given_phone TEXT;
ALTER TABLE users ADD COLUMN verified_phone TEXT COLLATE "C";
ALTER TABLE users ADD COLUMN wants_sms BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE users ADD COLUMN totp_secret BYTEA;
ALTER TABLE users ADD COLUMN totp_step BIGINT;
ALTER TABLE users ADD COLUMN totp_pending BYTEA;
ALTER TABLE users ADD COLUMN factor_revision BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN provider TEXT COLLATE "C";
ALTER TABLE users ADD COLUMN provider_subject TEXT COLLATE "C";
ALTER TABLE users ALTER COLUMN wants_sms DROP DEFAULT;
ALTER TABLE users ALTER COLUMN factor_revision DROP DEFAULT;
CREATE UNIQUE INDEX users_verified_phone ON users (app_id, verified_phone);
CREATE UNIQUE INDEX users_provider ON users (app_id, provider, provider_subject);
