CREATE TABLE recovery_codes (
    app_id BLOB NOT NULL REFERENCES apps (id),
    user_id BLOB NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (app_id, user_id, digest)
) STRICT;
