CREATE TABLE email_templates (
    app_id BLOB NOT NULL REFERENCES apps (id),
    name TEXT NOT NULL,
    locale TEXT NOT NULL,
    subject TEXT NOT NULL,
    reply_to TEXT NOT NULL,
    html TEXT NOT NULL,
    link_text TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (app_id, name, locale)
) STRICT;
