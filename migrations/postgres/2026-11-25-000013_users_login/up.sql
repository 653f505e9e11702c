-- Failed log-ins, from sources that the user has logged in from and from others.
ALTER TABLE users ADD COLUMN failed_unknown BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN failed_unknown_at TIMESTAMP;
ALTER TABLE users ADD COLUMN failed_known BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN failed_known_at TIMESTAMP;
ALTER TABLE users ADD COLUMN lock_mailed_at TIMESTAMP;
ALTER TABLE users ADD COLUMN known_sources BYTEA NOT NULL DEFAULT '';
ALTER TABLE users ALTER COLUMN failed_unknown DROP DEFAULT;
ALTER TABLE users ALTER COLUMN failed_known DROP DEFAULT;
ALTER TABLE users ALTER COLUMN known_sources DROP DEFAULT;
