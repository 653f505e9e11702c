ALTER TABLE users DROP COLUMN known_sources;
ALTER TABLE users DROP COLUMN lock_mailed_at;
ALTER TABLE users DROP COLUMN failed_known_at;
ALTER TABLE users DROP COLUMN failed_known;
ALTER TABLE users DROP COLUMN failed_unknown_at;
ALTER TABLE users DROP COLUMN failed_unknown;
