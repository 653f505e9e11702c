CREATE TABLE users (
    app_id BLOB NOT NULL REFERENCES apps (id),
    id BLOB NOT NULL,
    handle TEXT NOT NULL,
    handle_key TEXT NOT NULL,
    user_name TEXT,
    status TEXT NOT NULL,
    password BLOB,
    locale TEXT NOT NULL,
    metadata TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    spared_token BLOB,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    last_login_at TEXT,
    PRIMARY KEY (app_id, id),
    UNIQUE (app_id, handle_key),
    UNIQUE (app_id, user_name)
) STRICT;
