-- A key's state follows from its times: from when on it signs, and until when it is published.
ALTER TABLE app_keys ADD COLUMN signs_from TEXT NOT NULL DEFAULT '1970-01-01 00:00:00';
ALTER TABLE app_keys ADD COLUMN published_until TEXT;
UPDATE app_keys SET signs_from = created_at;
ALTER TABLE app_keys DROP COLUMN state;
