-- A key's state follows from its times: from when on it signs, and until when it is published.
ALTER TABLE app_keys ADD COLUMN signs_from TIMESTAMP NOT NULL DEFAULT '1970-01-01 00:00:00';
ALTER TABLE app_keys ADD COLUMN published_until TIMESTAMP;
UPDATE app_keys SET signs_from = created_at;
ALTER TABLE app_keys DROP COLUMN state;
ALTER TABLE app_keys ALTER COLUMN signs_from DROP DEFAULT;
