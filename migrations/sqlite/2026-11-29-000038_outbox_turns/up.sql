-- Leads from one application with waiting messages to the next, so that they take turns.
DROP INDEX outbox_due;
CREATE INDEX outbox_due ON outbox (channel, state, app_id, due_at);
