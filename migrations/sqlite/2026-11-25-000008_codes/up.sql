CREATE TABLE codes (
    app_id BLOB NOT NULL,
    id BLOB NOT NULL,
    purpose TEXT NOT NULL,
    subject BLOB NOT NULL,
    digest BLOB NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    consumed_at TEXT,
    PRIMARY KEY (app_id, id)
) STRICT;

CREATE INDEX codes_subject ON codes (app_id, subject);
