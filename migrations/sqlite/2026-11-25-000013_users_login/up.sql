-- Failed log-ins, from sources that the user has logged in from and from others.
ALTER TABLE users ADD COLUMN failed_unknown INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN failed_unknown_at TEXT;
ALTER TABLE users ADD COLUMN failed_known INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN failed_known_at TEXT;
ALTER TABLE users ADD COLUMN lock_mailed_at TEXT;
ALTER TABLE users ADD COLUMN known_sources BLOB NOT NULL DEFAULT x'';
