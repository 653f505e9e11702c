-- Accounts of the portal.
CREATE TABLE developers (
    id BYTEA NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    email_key TEXT COLLATE "C" NOT NULL UNIQUE,
    role TEXT NOT NULL,
    status TEXT NOT NULL,
    password BYTEA NOT NULL,
    password_at TIMESTAMP NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    last_sign_in_at TIMESTAMP,
    revision BIGINT NOT NULL
);

-- Log-ins of the portal: the cookie's value is stored as a digest only. Without a developer it is one of the set-up page.
CREATE TABLE portal_logins (
    digest BYTEA NOT NULL PRIMARY KEY,
    developer_id BYTEA REFERENCES developers (id),
    stage TEXT NOT NULL,
    address TEXT NOT NULL,
    agent TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    used_at TIMESTAMP NOT NULL,
    confirmed_at TIMESTAMP NOT NULL
);

CREATE INDEX portal_logins_by_developer ON portal_logins (developer_id);

-- Links to the set-up page; the newest one counts.
CREATE TABLE setup_links (
    digest BYTEA NOT NULL PRIMARY KEY,
    created_at TIMESTAMP NOT NULL
);

-- The owner is a developer, or all zeros where administrators alone manage it.
CREATE TABLE apps (
    id BYTEA NOT NULL PRIMARY KEY,
    owner_id BYTEA NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    issuer TEXT COLLATE "C" NOT NULL,
    token_generation BIGINT NOT NULL,
    token_issued_at TIMESTAMP NOT NULL,
    revision BIGINT NOT NULL,
    settings JSON NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    UNIQUE (owner_id, name)
);

CREATE INDEX apps_by_issuer ON apps (issuer);

-- Applications whose import has not ended: no other query shows them.
CREATE TABLE imports (
    app_id BYTEA NOT NULL PRIMARY KEY REFERENCES apps (id),
    source BYTEA NOT NULL,
    done BIGINT NOT NULL,
    began_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);

CREATE INDEX imports_source ON imports (source);

-- A key's state follows from its times: from when on it signs, until when it is published, and until when tokens may
-- live that it signed while they lived longer than they do now. An empty private half: the key only verifies.
CREATE TABLE app_keys (
    app_id BYTEA NOT NULL REFERENCES apps (id),
    kid TEXT COLLATE "C" NOT NULL,
    public_pem TEXT NOT NULL,
    private BYTEA NOT NULL,
    created_at TIMESTAMP NOT NULL,
    signs_from TIMESTAMP NOT NULL,
    published_until TIMESTAMP,
    tokens_until TIMESTAMP,
    PRIMARY KEY (app_id, kid)
);

-- From when on a key is used for new values, and when it ends.
CREATE TABLE server_keys (
    purpose TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    id BYTEA NOT NULL,
    wrapped BYTEA NOT NULL,
    created_at TIMESTAMP NOT NULL,
    used_from TIMESTAMP,
    ends_at TIMESTAMP,
    PRIMARY KEY (purpose, generation)
);

-- Public keys of Cosync JWT servers that were imported: clients contain app tokens that were signed with them.
CREATE TABLE old_server_keys (
    kid TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    public_pem TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL
);

-- Server secrets. A secret ends with the one that made it; the command line's have no maker.
CREATE TABLE operator_tokens (
    id BYTEA NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    only_app BYTEA,
    made_by BYTEA,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    revoked_at TIMESTAMP,
    last_used_at TIMESTAMP
);

CREATE INDEX operator_tokens_made_by ON operator_tokens (made_by);

-- Failed log-ins are counted apart for sources that the user has logged in from and for others. The revision moves with
-- every change of what a use case reads before it writes.
CREATE TABLE users (
    app_id BYTEA NOT NULL REFERENCES apps (id),
    id BYTEA NOT NULL,
    handle TEXT NOT NULL,
    handle_key TEXT COLLATE "C" NOT NULL,
    user_name TEXT COLLATE "C",
    status TEXT NOT NULL,
    administrator BOOLEAN NOT NULL,
    email_verified BOOLEAN NOT NULL,
    password BYTEA,
    locale TEXT NOT NULL,
    metadata JSON NOT NULL,
    epoch BIGINT NOT NULL,
    spared_token BYTEA,
    failed_unknown BIGINT NOT NULL,
    failed_unknown_at TIMESTAMP,
    failed_known BIGINT NOT NULL,
    failed_known_at TIMESTAMP,
    lock_mailed_at TIMESTAMP,
    known_sources BYTEA NOT NULL,
    given_phone TEXT,
    verified_phone TEXT COLLATE "C",
    wants_sms BOOLEAN NOT NULL,
    totp_secret BYTEA,
    totp_step BIGINT,
    totp_pending BYTEA,
    factor_revision BIGINT NOT NULL,
    provider TEXT COLLATE "C",
    provider_subject TEXT COLLATE "C",
    revision BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    last_login_at TIMESTAMP,
    PRIMARY KEY (app_id, id),
    UNIQUE (app_id, handle_key),
    UNIQUE (app_id, user_name)
) WITH (fillfactor = 90);

CREATE UNIQUE INDEX users_verified_phone ON users (app_id, verified_phone);
CREATE UNIQUE INDEX users_provider ON users (app_id, provider, provider_subject);
-- Finds the user of a handle's underscored form, which some applications put into the claim sub.
CREATE INDEX users_by_underscored ON users (app_id, replace(handle, '@', '_'));

CREATE TABLE recovery_codes (
    app_id BYTEA NOT NULL REFERENCES apps (id),
    user_id BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    PRIMARY KEY (app_id, user_id, digest)
);

-- Handles of deleted users that stay taken for a while.
CREATE TABLE held_handles (
    app_id BYTEA NOT NULL,
    handle_key TEXT COLLATE "C" NOT NULL,
    held_until TIMESTAMP NOT NULL,
    PRIMARY KEY (app_id, handle_key)
);

CREATE INDEX held_handles_end ON held_handles (held_until);

-- Ids of sign-ups and invitations are random: the order of age needs an index of its own.
CREATE TABLE signups (
    app_id BYTEA NOT NULL REFERENCES apps (id),
    id BYTEA NOT NULL,
    handle TEXT NOT NULL,
    handle_key TEXT COLLATE "C" NOT NULL,
    source BYTEA NOT NULL,
    user_id BYTEA NOT NULL,
    state TEXT NOT NULL,
    password BYTEA NOT NULL,
    locale TEXT NOT NULL,
    metadata JSON NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (app_id, id)
);

CREATE INDEX signups_handle ON signups (app_id, handle_key);
CREATE INDEX signups_age ON signups (updated_at);
CREATE INDEX signups_newest ON signups (app_id, created_at, id);

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
CREATE INDEX invites_age ON invites (updated_at);
CREATE INDEX invites_newest ON invites (app_id, created_at, id);

-- The source is the address prefix that asked for the code: its wrong attempts are counted apart.
CREATE TABLE codes (
    app_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    purpose TEXT NOT NULL,
    subject BYTEA NOT NULL,
    source BYTEA,
    digest BYTEA NOT NULL,
    digits BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    consumed_at TIMESTAMP,
    PRIMARY KEY (app_id, id)
);

CREATE INDEX codes_subject ON codes (app_id, subject);
CREATE INDEX codes_expiry ON codes (expires_at);

-- Counters of attempts and messages. From expires_at on, a counter has no effect and may be removed.
CREATE TABLE quotas (
    app_id BYTEA NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    subject BYTEA NOT NULL,
    period BIGINT NOT NULL,
    used BIGINT NOT NULL,
    expires_at TIMESTAMP NOT NULL,
    PRIMARY KEY (app_id, kind, subject, period)
);

CREATE INDEX quotas_expiry ON quotas (expires_at);

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

-- The recipient is a keyed digest: messages are removed together with the user.
CREATE TABLE outbox (
    app_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    channel TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    recipient BYTEA,
    payload BYTEA NOT NULL,
    attempts BIGINT NOT NULL,
    last_error TEXT,
    due_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (app_id, id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01);

CREATE INDEX outbox_recipient ON outbox (app_id, recipient);
-- Leads from one application with waiting messages to the next, so that they take turns.
CREATE INDEX outbox_due ON outbox (channel, state, app_id, due_at);

-- Handles are masked. The actor's name is that of a server secret.
CREATE TABLE audit_log (
    app_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    action TEXT NOT NULL,
    result TEXT NOT NULL,
    actor TEXT NOT NULL,
    actor_name TEXT,
    user_id BYTEA,
    handle TEXT,
    address TEXT,
    detail TEXT,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (app_id, id)
);

CREATE INDEX audit_log_age ON audit_log (created_at);

-- Totals of past days, counted from the audit log.
CREATE TABLE usage_days (
    app_id BYTEA NOT NULL,
    day BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (app_id, day, kind)
);

-- Periodic work: the instance that moves due_at first does it.
CREATE TABLE jobs (
    name TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    due_at TIMESTAMP NOT NULL,
    last_ok_at TIMESTAMP
);
