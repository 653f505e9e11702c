CREATE TABLE signups (
    app_id BLOB NOT NULL REFERENCES apps (id),
    id BLOB NOT NULL,
    handle TEXT NOT NULL,
    handle_key TEXT NOT NULL,
    source BLOB NOT NULL,
    user_id BLOB NOT NULL,
    state TEXT NOT NULL,
    password BLOB NOT NULL,
    locale TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (app_id, id)
) STRICT;

CREATE INDEX signups_handle ON signups (app_id, handle_key);
