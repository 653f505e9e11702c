CREATE TABLE invites (
    app_id BYTEA NOT NULL REFERENCES apps (id),
    id BYTEA NOT NULL,
    handle TEXT NOT NULL,
    handle_key TEXT COLLATE "C" NOT NULL,
    sender_id BYTEA NOT NULL,
    sender_handle TEXT NOT NULL,
    sender_reference TEXT NOT NULL,
    state TEXT NOT NULL,
    locale TEXT NOT NULL,
    metadata JSON NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (app_id, id)
);

CREATE INDEX invites_handle ON invites (app_id, handle_key);
