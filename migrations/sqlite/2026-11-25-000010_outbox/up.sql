CREATE TABLE outbox (
    app_id BLOB NOT NULL,
    id BLOB NOT NULL,
    channel TEXT NOT NULL,
    payload BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    due_at TEXT NOT NULL,
    expires_at TEXT,
    state TEXT NOT NULL,
    last_error TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (app_id, id)
) STRICT;

CREATE INDEX outbox_due ON outbox (due_at);
