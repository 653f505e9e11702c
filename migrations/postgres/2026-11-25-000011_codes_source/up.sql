-- Which address prefix asked for a code: its wrong tries are its own.
ALTER TABLE codes ADD COLUMN source BYTEA;
CREATE INDEX codes_expiry ON codes (expires_at);
