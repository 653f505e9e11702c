CREATE TABLE users (
    app_id BYTEA NOT NULL REFERENCES apps (id),
    id BYTEA NOT NULL,
    handle TEXT NOT NULL,
    handle_key TEXT COLLATE "C" NOT NULL,
    user_name TEXT COLLATE "C",
    status TEXT NOT NULL,
    password BYTEA,
    locale TEXT NOT NULL,
    metadata JSON NOT NULL,
    epoch BIGINT NOT NULL,
    spared_token BYTEA,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    last_login_at TIMESTAMP,
    PRIMARY KEY (app_id, id),
    UNIQUE (app_id, handle_key),
    UNIQUE (app_id, user_name)
) WITH (fillfactor = 90);
