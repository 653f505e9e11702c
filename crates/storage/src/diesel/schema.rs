//! The one schema of both databases, as the migrations make it.

::diesel::table! {
    apps (id) {
        id -> Binary,
        owner_id -> Binary,
        name -> Text,
        kind -> Text,
        status -> Text,
        issuer -> Text,
        token_generation -> BigInt,
        token_issued_at -> Timestamp,
        revision -> BigInt,
        settings -> Json,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

::diesel::table! {
    developers (id) {
        id -> Binary,
        email -> Text,
        email_key -> Text,
        role -> Text,
        status -> Text,
        password -> Binary,
        password_at -> Timestamp,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        last_sign_in_at -> Nullable<Timestamp>,
        revision -> BigInt,
    }
}

::diesel::table! {
    portal_logins (digest) {
        digest -> Binary,
        developer_id -> Nullable<Binary>,
        stage -> Text,
        address -> Text,
        agent -> Text,
        created_at -> Timestamp,
        used_at -> Timestamp,
        confirmed_at -> Timestamp,
    }
}

::diesel::table! {
    setup_links (digest) {
        digest -> Binary,
        created_at -> Timestamp,
    }
}

::diesel::table! {
    app_keys (app_id, kid) {
        app_id -> Binary,
        kid -> Text,
        public_pem -> Text,
        private -> Binary,
        created_at -> Timestamp,
        signs_from -> Timestamp,
        published_until -> Nullable<Timestamp>,
        tokens_until -> Nullable<Timestamp>,
    }
}

::diesel::table! {
    server_keys (purpose, generation) {
        purpose -> Text,
        generation -> BigInt,
        id -> Binary,
        wrapped -> Binary,
        created_at -> Timestamp,
        used_from -> Nullable<Timestamp>,
        ends_at -> Nullable<Timestamp>,
    }
}

::diesel::table! {
    operator_tokens (id) {
        id -> Binary,
        name -> Text,
        created_at -> Timestamp,
        expires_at -> Timestamp,
        revoked_at -> Nullable<Timestamp>,
        scopes -> Text,
        only_app -> Nullable<Binary>,
        last_used_at -> Nullable<Timestamp>,
        made_by -> Nullable<Binary>,
    }
}

::diesel::table! {
    users (app_id, id) {
        app_id -> Binary,
        id -> Binary,
        handle -> Text,
        handle_key -> Text,
        user_name -> Nullable<Text>,
        status -> Text,
        password -> Nullable<Binary>,
        locale -> Text,
        metadata -> Json,
        epoch -> BigInt,
        spared_token -> Nullable<Binary>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        last_login_at -> Nullable<Timestamp>,
        failed_unknown -> BigInt,
        failed_unknown_at -> Nullable<Timestamp>,
        failed_known -> BigInt,
        failed_known_at -> Nullable<Timestamp>,
        lock_mailed_at -> Nullable<Timestamp>,
        known_sources -> Binary,
        given_phone -> Nullable<Text>,
        verified_phone -> Nullable<Text>,
        wants_sms -> Bool,
        totp_secret -> Nullable<Binary>,
        totp_step -> Nullable<BigInt>,
        totp_pending -> Nullable<Binary>,
        factor_revision -> BigInt,
        provider -> Nullable<Text>,
        provider_subject -> Nullable<Text>,
        administrator -> Bool,
        revision -> BigInt,
        email_verified -> Bool,
    }
}

::diesel::table! {
    signups (app_id, id) {
        app_id -> Binary,
        id -> Binary,
        handle -> Text,
        handle_key -> Text,
        source -> Binary,
        user_id -> Binary,
        state -> Text,
        password -> Binary,
        locale -> Text,
        metadata -> Json,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

::diesel::table! {
    codes (app_id, id) {
        app_id -> Binary,
        id -> Binary,
        purpose -> Text,
        subject -> Binary,
        digest -> Binary,
        created_at -> Timestamp,
        expires_at -> Timestamp,
        consumed_at -> Nullable<Timestamp>,
        source -> Nullable<Binary>,
        digits -> BigInt,
    }
}

::diesel::table! {
    quotas (app_id, kind, subject, period) {
        app_id -> Binary,
        kind -> Text,
        subject -> Binary,
        period -> BigInt,
        used -> BigInt,
        expires_at -> Timestamp,
    }
}

::diesel::table! {
    outbox (app_id, id) {
        app_id -> Binary,
        id -> Binary,
        channel -> Text,
        payload -> Binary,
        attempts -> BigInt,
        due_at -> Timestamp,
        expires_at -> Nullable<Timestamp>,
        state -> Text,
        last_error -> Nullable<Text>,
        created_at -> Timestamp,
        recipient -> Nullable<Binary>,
    }
}

::diesel::table! {
    invites (app_id, id) {
        app_id -> Binary,
        id -> Binary,
        handle -> Text,
        handle_key -> Text,
        sender_id -> Binary,
        sender_handle -> Text,
        sender_reference -> Text,
        state -> Text,
        locale -> Text,
        metadata -> Json,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

::diesel::table! {
    email_templates (app_id, name, locale) {
        app_id -> Binary,
        name -> Text,
        locale -> Text,
        subject -> Text,
        reply_to -> Text,
        html -> Text,
        link_text -> Text,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

::diesel::table! {
    audit_log (app_id, id) {
        app_id -> Binary,
        id -> Binary,
        action -> Text,
        result -> Text,
        actor -> Text,
        user_id -> Nullable<Binary>,
        handle -> Nullable<Text>,
        address -> Nullable<Text>,
        detail -> Nullable<Text>,
        created_at -> Timestamp,
        actor_name -> Nullable<Text>,
    }
}

::diesel::table! {
    held_handles (app_id, handle_key) {
        app_id -> Binary,
        handle_key -> Text,
        held_until -> Timestamp,
    }
}

::diesel::table! {
    jobs (name) {
        name -> Text,
        due_at -> Timestamp,
        last_ok_at -> Nullable<Timestamp>,
    }
}

::diesel::table! {
    recovery_codes (app_id, user_id, digest) {
        app_id -> Binary,
        user_id -> Binary,
        digest -> Binary,
    }
}

::diesel::table! {
    usage_days (app_id, day, kind) {
        app_id -> Binary,
        day -> BigInt,
        kind -> Text,
        number -> BigInt,
    }
}

::diesel::table! {
    imports (app_id) {
        app_id -> Binary,
        source -> Binary,
        done -> BigInt,
        began_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

::diesel::table! {
    old_server_keys (kid) {
        kid -> Text,
        public_pem -> Text,
        created_at -> Timestamp,
    }
}
