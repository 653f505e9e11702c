-- Leads from one application with waiting messages to the next, so that they take turns.
DROP INDEX outbox_due;
ALTER TABLE outbox ALTER COLUMN channel TYPE TEXT COLLATE "C", ALTER COLUMN state TYPE TEXT COLLATE "C";
CREATE INDEX outbox_due ON outbox (channel, state, app_id, due_at);
