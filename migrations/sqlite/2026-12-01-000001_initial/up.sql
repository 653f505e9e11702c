-- Accounts of the portal.
CREATE TABLE developers (
    id BLOB NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    status TEXT NOT NULL,
    password BLOB NOT NULL,
    password_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    last_sign_in_at TEXT,
    revision INTEGER NOT NULL
) STRICT;

-- Log-ins of the portal: the cookie's value is stored as a digest only. Without a developer it is one of the set-up page.
CREATE TABLE portal_logins (
    digest BLOB NOT NULL PRIMARY KEY,
    developer_id BLOB REFERENCES developers (id),
    stage TEXT NOT NULL,
    address TEXT NOT NULL,
    agent TEXT NOT NULL,
    created_at TEXT NOT NULL,
    used_at TEXT NOT NULL,
    confirmed_at TEXT NOT NULL
) STRICT;

CREATE INDEX portal_logins_by_developer ON portal_logins (developer_id);

-- Links to the set-up page; the newest one counts.
CREATE TABLE setup_links (
    digest BLOB NOT NULL PRIMARY KEY,
    created_at TEXT NOT NULL
) STRICT;

-- The owner is a developer, or all zeros where administrators alone manage it.
CREATE TABLE apps (
    id BLOB NOT NULL PRIMARY KEY,
    owner_id BLOB NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    issuer TEXT NOT NULL,
    token_generation INTEGER NOT NULL,
    token_issued_at TEXT NOT NULL,
    revision INTEGER NOT NULL,
    settings TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    UNIQUE (owner_id, name)
) STRICT;

CREATE INDEX apps_by_issuer ON apps (issuer);

-- Applications whose import has not ended: no other query shows them.
CREATE TABLE imports (
    app_id BLOB NOT NULL PRIMARY KEY REFERENCES apps (id),
    source BLOB NOT NULL,
    done INTEGER NOT NULL,
    began_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT;

CREATE INDEX imports_source ON imports (source);

-- A key's state follows from its times: from when on it signs, until when it is published, and until when tokens may
-- live that it signed while they lived longer than they do now. An empty private half: the key only verifies.
CREATE TABLE app_keys (
    app_id BLOB NOT NULL REFERENCES apps (id),
    kid TEXT NOT NULL,
    public_pem TEXT NOT NULL,
    private BLOB NOT NULL,
    created_at TEXT NOT NULL,
    signs_from TEXT NOT NULL,
    published_until TEXT,
    tokens_until TEXT,
    PRIMARY KEY (app_id, kid)
) STRICT;

-- From when on a key is used for new values, and when it ends.
CREATE TABLE server_keys (
    purpose TEXT NOT NULL,
    generation INTEGER NOT NULL,
    id BLOB NOT NULL,
    wrapped BLOB NOT NULL,
    created_at TEXT NOT NULL,
    used_from TEXT,
    ends_at TEXT,
    PRIMARY KEY (purpose, generation)
) STRICT;

-- Public keys of Cosync JWT servers that were imported: clients contain app tokens that were signed with them.
CREATE TABLE old_server_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    public_pem TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

-- Server secrets. A secret ends with the one that made it; the command line's have no maker.
CREATE TABLE operator_tokens (
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    only_app BLOB,
    made_by BLOB,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    revoked_at TEXT,
    last_used_at TEXT
) STRICT;

CREATE INDEX operator_tokens_made_by ON operator_tokens (made_by);

-- Failed log-ins are counted apart for sources that the user has logged in from and for others. The revision moves with
-- every change of what a use case reads before it writes.
CREATE TABLE users (
    app_id BLOB NOT NULL REFERENCES apps (id),
    id BLOB NOT NULL,
    handle TEXT NOT NULL,
    handle_key TEXT NOT NULL,
    user_name TEXT,
    status TEXT NOT NULL,
    administrator INTEGER NOT NULL,
    email_verified INTEGER NOT NULL,
    password BLOB,
    locale TEXT NOT NULL,
    metadata TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    spared_token BLOB,
    failed_unknown INTEGER NOT NULL,
    failed_unknown_at TEXT,
    failed_known INTEGER NOT NULL,
    failed_known_at TEXT,
    lock_mailed_at TEXT,
    known_sources BLOB NOT NULL,
    given_phone TEXT,
    verified_phone TEXT,
    wants_sms INTEGER NOT NULL,
    totp_secret BLOB,
    totp_step INTEGER,
    totp_pending BLOB,
    factor_revision INTEGER NOT NULL,
    provider TEXT,
    provider_subject TEXT,
    revision INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    last_login_at TEXT,
    PRIMARY KEY (app_id, id),
    UNIQUE (app_id, handle_key),
    UNIQUE (app_id, user_name)
) STRICT;

CREATE UNIQUE INDEX users_verified_phone ON users (app_id, verified_phone);
CREATE UNIQUE INDEX users_provider ON users (app_id, provider, provider_subject);
-- Finds the user of a handle's underscored form, which some applications put into the claim sub.
CREATE INDEX users_by_underscored ON users (app_id, replace(handle, '@', '_'));

CREATE TABLE recovery_codes (
    app_id BLOB NOT NULL REFERENCES apps (id),
    user_id BLOB NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (app_id, user_id, digest)
) STRICT;

-- Handles of deleted users that stay taken for a while.
CREATE TABLE held_handles (
    app_id BLOB NOT NULL,
    handle_key TEXT NOT NULL,
    held_until TEXT NOT NULL,
    PRIMARY KEY (app_id, handle_key)
) STRICT;

CREATE INDEX held_handles_end ON held_handles (held_until);

-- Ids of sign-ups and invitations are random: the order of age needs an index of its own.
CREATE TABLE signups (
    app_id BLOB NOT NULL REFERENCES apps (id),
    id BLOB NOT NULL,
    handle TEXT NOT NULL,
    handle_key TEXT NOT NULL,
    source BLOB NOT NULL,
    user_id BLOB NOT NULL,
    state TEXT NOT NULL,
    password BLOB NOT NULL,
    locale TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (app_id, id)
) STRICT;

CREATE INDEX signups_handle ON signups (app_id, handle_key);
CREATE INDEX signups_age ON signups (updated_at);
CREATE INDEX signups_newest ON signups (app_id, created_at, id);

CREATE TABLE invites (
    app_id BLOB NOT NULL REFERENCES apps (id),
    id BLOB NOT NULL,
    handle TEXT NOT NULL,
    handle_key TEXT NOT NULL,
    sender_id BLOB NOT NULL,
    sender_handle TEXT NOT NULL,
    sender_reference TEXT NOT NULL,
    state TEXT NOT NULL,
    locale TEXT NOT NULL,
    metadata TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    PRIMARY KEY (app_id, id)
) STRICT;

CREATE INDEX invites_handle ON invites (app_id, handle_key);
CREATE INDEX invites_age ON invites (updated_at);
CREATE INDEX invites_newest ON invites (app_id, created_at, id);

-- The source is the address prefix that asked for the code: its wrong attempts are counted apart.
CREATE TABLE codes (
    app_id BLOB NOT NULL,
    id BLOB NOT NULL,
    purpose TEXT NOT NULL,
    subject BLOB NOT NULL,
    source BLOB,
    digest BLOB NOT NULL,
    digits INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    consumed_at TEXT,
    PRIMARY KEY (app_id, id)
) STRICT;

CREATE INDEX codes_subject ON codes (app_id, subject);
CREATE INDEX codes_expiry ON codes (expires_at);

-- Counters of attempts and messages. From expires_at on, a counter has no effect and may be removed.
CREATE TABLE quotas (
    app_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    subject BLOB NOT NULL,
    period INTEGER NOT NULL,
    used INTEGER NOT NULL,
    expires_at TEXT NOT NULL,
    PRIMARY KEY (app_id, kind, subject, period)
) STRICT;

CREATE INDEX quotas_expiry ON quotas (expires_at);

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

-- The recipient is a keyed digest: messages are removed together with the user.
CREATE TABLE outbox (
    app_id BLOB NOT NULL,
    id BLOB NOT NULL,
    channel TEXT NOT NULL,
    state TEXT NOT NULL,
    recipient BLOB,
    payload BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    last_error TEXT,
    due_at TEXT NOT NULL,
    expires_at TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (app_id, id)
) STRICT;

CREATE INDEX outbox_recipient ON outbox (app_id, recipient);
-- Leads from one application with waiting messages to the next, so that they take turns.
CREATE INDEX outbox_due ON outbox (channel, state, app_id, due_at);

-- Handles are masked. The actor's name is that of a server secret.
CREATE TABLE audit_log (
    app_id BLOB NOT NULL,
    id BLOB NOT NULL,
    action TEXT NOT NULL,
    result TEXT NOT NULL,
    actor TEXT NOT NULL,
    actor_name TEXT,
    user_id BLOB,
    handle TEXT,
    address TEXT,
    detail TEXT,
    created_at TEXT NOT NULL,
    PRIMARY KEY (app_id, id)
) STRICT;

CREATE INDEX audit_log_age ON audit_log (created_at);

-- Totals of past days, counted from the audit log.
CREATE TABLE usage_days (
    app_id BLOB NOT NULL,
    day INTEGER NOT NULL,
    kind TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (app_id, day, kind)
) STRICT;

-- Periodic work: the instance that moves due_at first does it.
CREATE TABLE jobs (
    name TEXT NOT NULL PRIMARY KEY,
    due_at TEXT NOT NULL,
    last_ok_at TEXT
) STRICT;
