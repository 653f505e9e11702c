-- Whose message it is, as a keyed digest: it goes when they do.
ALTER TABLE outbox ADD COLUMN recipient BLOB;
CREATE INDEX outbox_recipient ON outbox (app_id, recipient);
