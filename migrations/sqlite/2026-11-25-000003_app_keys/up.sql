CREATE TABLE app_keys (
    app_id BLOB NOT NULL REFERENCES apps (id),
    kid TEXT NOT NULL,
    state TEXT NOT NULL,
    public_pem TEXT NOT NULL,
    private BLOB NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (app_id, kid)
) STRICT;
