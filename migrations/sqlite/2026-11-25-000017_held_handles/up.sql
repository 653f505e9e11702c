-- Handles of deleted users that stay taken for a while.
CREATE TABLE held_handles (
    app_id BLOB NOT NULL,
    handle_key TEXT NOT NULL,
    held_until TEXT NOT NULL,
    PRIMARY KEY (app_id, handle_key)
) STRICT;

CREATE INDEX held_handles_end ON held_handles (held_until);
