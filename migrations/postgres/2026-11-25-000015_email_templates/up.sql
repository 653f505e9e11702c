CREATE TABLE email_templates (
    app_id BYTEA NOT NULL REFERENCES apps (id),
    name TEXT COLLATE "C" NOT NULL,
    locale TEXT COLLATE "C" NOT NULL,
    subject TEXT NOT NULL,
    reply_to TEXT NOT NULL,
    html TEXT NOT NULL,
    link_text TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (app_id, name, locale)
);
