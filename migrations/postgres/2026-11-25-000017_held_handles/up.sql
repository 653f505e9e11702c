-- Handles of deleted users that stay taken for a while.
CREATE TABLE held_handles (
    app_id BYTEA NOT NULL,
    handle_key TEXT COLLATE "C" NOT NULL,
    held_until TIMESTAMP NOT NULL,
    PRIMARY KEY (app_id, handle_key)
);

CREATE INDEX held_handles_end ON held_handles (held_until);
