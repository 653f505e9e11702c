CREATE TABLE invites (
    app_id BLOB NOT NULL REFERENCES apps (id),
    id BLOB NOT NULL,
    handle TEXT NOT NULL,
    handle_key TEXT NOT NULL,
    sender_id BLOB NOT NULL,
    sender_handle TEXT NOT NULL,
    sender_reference TEXT NOT NULL,
    state TEXT NOT NULL,
    locale TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (app_id, id)
) STRICT;

CREATE INDEX invites_handle ON invites (app_id, handle_key);
