ALTER TABLE app_keys ADD COLUMN state TEXT NOT NULL DEFAULT 'current';
ALTER TABLE app_keys ALTER COLUMN state DROP DEFAULT;
ALTER TABLE app_keys DROP COLUMN published_until;
ALTER TABLE app_keys DROP COLUMN signs_from;
