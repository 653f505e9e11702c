-- Which address prefix asked for a code: its wrong tries are its own.
ALTER TABLE codes ADD COLUMN source BLOB;
CREATE INDEX codes_expiry ON codes (expires_at);
