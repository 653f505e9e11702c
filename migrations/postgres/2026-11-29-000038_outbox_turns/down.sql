DROP INDEX outbox_due;
ALTER TABLE outbox ALTER COLUMN channel TYPE TEXT COLLATE "default", ALTER COLUMN state TYPE TEXT COLLATE "default";
CREATE INDEX outbox_due ON outbox (due_at);
