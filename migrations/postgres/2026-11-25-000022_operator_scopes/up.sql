-- What a server secret opens, where, and when it was last used. Older ones opened everything.
ALTER TABLE operator_tokens ADD COLUMN scopes TEXT NOT NULL DEFAULT 'everything';
ALTER TABLE operator_tokens ADD COLUMN only_app BYTEA;
ALTER TABLE operator_tokens ADD COLUMN last_used_at TIMESTAMP;
ALTER TABLE operator_tokens ALTER COLUMN scopes DROP DEFAULT;
