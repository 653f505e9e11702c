CREATE TABLE app_keys (
    app_id BYTEA NOT NULL REFERENCES apps (id),
    kid TEXT COLLATE "C" NOT NULL,
    state TEXT NOT NULL,
    public_pem TEXT NOT NULL,
    private BYTEA NOT NULL,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (app_id, kid)
);
