-- Second factors, and who somebody is to another service.
ALTER TABLE users ADD COLUMN given_phone TEXT;
ALTER TABLE users ADD COLUMN verified_phone TEXT;
ALTER TABLE users ADD COLUMN wants_sms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN totp_secret BLOB;
ALTER TABLE users ADD COLUMN totp_step INTEGER;
ALTER TABLE users ADD COLUMN totp_pending BLOB;
ALTER TABLE users ADD COLUMN factor_revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN provider TEXT;
ALTER TABLE users ADD COLUMN provider_subject TEXT;
CREATE UNIQUE INDEX users_verified_phone ON users (app_id, verified_phone);
CREATE UNIQUE INDEX users_provider ON users (app_id, provider, provider_subject);
