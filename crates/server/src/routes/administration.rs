//! The routes of the administration API: each with the scope that its server secret needs.

use actix_web::{FromRequest, Handler, Responder, web};
use latchkey_domain::Scope;

use super::{Auth, Entry};
use crate::api::{
    app_settings, apps, email_templates, import_export, invites, keys, logs, metadata_fields,
    operator_tokens, users,
};
use crate::openapi::{Operation, app_api as app, app_users as of_users};

/// Endpoints of the reference that set up cloud projects.
const SET_UP_ELSEWHERE: [&str; 7] = [
    "/api/app/initCosyncJWT",
    "/api/app/reinitCosyncJWT",
    "/api/app/removeCosyncJWT",
    "/api/app/initCosyncEngine",
    "/api/app/reinitCosyncEngine",
    "/api/app/removeCosyncEngine",
    "/api/app/saveUserSchema",
];

/// The administration API.
pub(super) fn table() -> Vec<Entry> {
    use Scope::{Everything, Export, Keys, Read, Settings, Users};
    let mut table = vec![
        by_operator("POST", Everything, "/api/app", apps::create, &app::CREATE),
        by_operator("GET", Read, "/api/app/connection", apps::connection, &app::CONNECTION),
        by_operator("GET", Read, "/api/app/allApps", apps::all, &app::ALL),
        by_operator("GET", Read, "/api/app/search", apps::search, &app::SEARCH),
        by_operator("GET", Read, "/api/app/appId/{app_id}", apps::one, &app::FIND),
        by_operator("GET", Read, "/api/app/getCosyncVersions", apps::versions, &app::VERSIONS),
        by_operator("POST", Settings, "/api/app/update", apps::update, &app::UPDATE),
        by_operator(
            "POST",
            Settings,
            "/api/app/updateAppSetting",
            app_settings::update_setting,
            &app::UPDATE_SETTING,
        ),
        by_operator(
            "POST",
            Settings,
            "/api/app/updateAppMetaData",
            metadata_fields::update_metadata,
            &app::UPDATE_METADATA,
        ),
        by_operator(
            "POST",
            Settings,
            "/api/app/updateAppInviteMetaData",
            metadata_fields::update_invite_metadata,
            &app::UPDATE_INVITE_METADATA,
        ),
        by_operator(
            "POST",
            Settings,
            "/api/app/deleteMetadata",
            apps::delete_metadata,
            &app::DELETE_METADATA,
        ),
        by_operator("POST", Settings, "/api/app/patchAppLocales", apps::patch_locales, &app::PATCH_LOCALES),
        by_operator("POST", Everything, "/api/app/reset", apps::reset, &app::RESET),
        by_operator("DELETE", Everything, "/api/app/{app_id}", apps::remove, &app::REMOVE),
        by_operator(
            "GET",
            Read,
            "/api/app/emailTemplates",
            email_templates::email_templates,
            &app::EMAIL_TEMPLATES,
        ),
        by_operator(
            "POST",
            Settings,
            "/api/app/updateEmailTemplate",
            email_templates::update_email_template,
            &app::UPDATE_EMAIL_TEMPLATE,
        ),
        by_operator(
            "POST",
            Settings,
            "/api/app/addRemoveAppLocale",
            email_templates::set_locales,
            &app::SET_LOCALES,
        ),
        by_operator(
            "POST",
            Settings,
            "/api/app/testEmailExtension",
            app_settings::send_test_mail,
            &app::TEST_MAIL,
        ),
        by_operator("POST", Settings, "/api/app/testAppTwilio", app_settings::send_test_sms, &app::TEST_SMS),
        by_operator("GET", Read, "/api/app/stat", users::stat, &of_users::STAT),
        by_operator("GET", Read, "/api/app/searchUser", users::search_users, &of_users::SEARCH_USERS),
        by_operator("GET", Read, "/api/app/previewClaims", users::preview_claims, &of_users::PREVIEW_CLAIMS),
        by_operator("POST", Users, "/api/app/addUser", users::add_user, &of_users::ADD_USER),
        by_operator("POST", Users, "/api/app/removeUser", users::remove_user, &of_users::REMOVE_USER),
        by_operator("POST", Users, "/api/app/user", users::set_user_status, &of_users::SET_STATUS),
        by_operator(
            "POST",
            Users,
            "/api/app/resetUserPassword",
            users::reset_user_password,
            &of_users::RESET_PASSWORD,
        ),
        by_operator(
            "POST",
            Users,
            "/api/app/updateAppUserMetaData",
            users::update_user_metadata,
            &of_users::UPDATE_METADATA,
        ),
        by_operator(
            "POST",
            Users,
            "/api/app/setAdministrator",
            users::set_administrator,
            &of_users::SET_ADMINISTRATOR,
        ),
        by_operator("POST", Users, "/api/app/signOutUser", users::sign_out_user, &of_users::SIGN_OUT),
        by_operator("POST", Users, "/api/app/unlockUser", users::unlock_user, &of_users::UNLOCK),
        by_operator(
            "POST",
            Users,
            "/api/app/resetSecondFactor",
            users::reset_second_factor,
            &of_users::RESET_FACTOR,
        ),
        by_operator("GET", Read, "/api/app/searchSingUp", invites::search_signups, &of_users::SEARCH_SIGNUPS),
        by_operator(
            "POST",
            Users,
            "/api/app/removeAppSignup",
            invites::remove_signup,
            &of_users::REMOVE_SIGNUP,
        ),
        by_operator("GET", Read, "/api/app/searchInvite", invites::search_invites, &of_users::SEARCH_INVITES),
        by_operator(
            "POST",
            Users,
            "/api/app/createAppInvite",
            invites::create_invites,
            &of_users::CREATE_INVITES,
        ),
        by_operator(
            "POST",
            Users,
            "/api/app/resendAppInvite",
            invites::resend_invite,
            &of_users::RESEND_INVITE,
        ),
        by_operator(
            "POST",
            Users,
            "/api/app/removeAppInvite",
            invites::remove_invite,
            &of_users::REMOVE_INVITE,
        ),
        by_operator("GET", Read, "/api/app/appKeys", keys::list, &app::APP_KEYS),
        by_operator("POST", Keys, "/api/app/rotateAppKey", keys::rotate, &app::ROTATE_KEY),
        by_operator("POST", Keys, "/api/app/regenerateAppKey", keys::regenerate, &app::REGENERATE_KEY),
        by_operator(
            "POST",
            Keys,
            "/api/app/regenerateAppToken",
            keys::regenerate_app_token,
            &app::REGENERATE_APP_TOKEN,
        ),
        by_operator("POST", Keys, "/api/app/superUserToken", keys::super_user_token, &app::SUPER_USER_TOKEN),
        by_operator("GET", Read, "/api/app/logs", logs::logs, &app::LOGS),
        by_operator("GET", Export, "/api/app/exportLogs", logs::export, &app::EXPORT_LOGS),
        by_operator("GET", Read, "/api/app/statistics", logs::statistics, &app::STATISTICS),
        by_operator("GET", Read, "/api/app/outbox", logs::outbox, &app::OUTBOX),
        by_operator("POST", Users, "/api/app/retryMessage", logs::retry_message, &app::RETRY_MESSAGE),
        by_operator("POST", Users, "/api/app/retryMessages", logs::retry_messages, &app::RETRY_MESSAGES),
        by_operator("GET", Export, "/api/app/export", import_export::export_zip, &app::EXPORT_ZIP),
        by_operator(
            "GET",
            Export,
            "/api/app/exportArchive",
            import_export::export_archive,
            &app::EXPORT_ARCHIVE,
        ),
        by_operator("GET", Export, "/api/app/exportUsers", import_export::export_users, &app::EXPORT_USERS),
        by_operator(
            "POST",
            Everything,
            "/api/app/importDatabase",
            import_export::import_database,
            &app::IMPORT,
        ),
        by_operator(
            "POST",
            Everything,
            "/api/app/createOperatorToken",
            operator_tokens::create,
            &app::CREATE_TOKEN,
        ),
        by_operator("GET", Everything, "/api/app/operatorTokens", operator_tokens::list, &app::TOKENS),
        by_operator(
            "POST",
            Everything,
            "/api/app/revokeOperatorToken",
            operator_tokens::revoke,
            &app::REVOKE_TOKEN,
        ),
        by_operator("POST", Everything, "/api/app/remoteNotification", apps::push, &app::PUSH),
    ];
    let elsewhere = |path| by_operator("POST", Everything, path, apps::set_up_elsewhere, &app::ELSEWHERE);
    table.extend(SET_UP_ELSEWHERE.map(elsewhere));
    table
}

/// A route of the administration API.
fn by_operator<A: FromRequest + 'static>(
    method: &'static str,
    scope: Scope,
    path: &'static str,
    handler: impl Handler<A, Output: Responder + 'static>,
    doc: &'static Operation,
) -> Entry {
    let route = match method {
        "GET" => web::get(),
        "DELETE" => web::delete(),
        _ => web::post(),
    };
    Entry::new(method, path, Auth::Operator(scope), doc, route.to(handler))
}
