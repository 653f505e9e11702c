//! The routes of the administration API: each with the scope that its server secret needs.

use actix_web::{FromRequest, Handler, Responder, web};
use latchkey_domain::Scope;
use latchkey_storage::Store;

use super::{Entry, Takes};
use crate::api::{
    app_settings, apps, email_templates, invites, keys, logs, metadata_fields, moving, operator_tokens, users,
};
use crate::openapi::{Operation, app_api as app, app_users as of_users};

/// What the reference has for setting cloud projects up.
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
pub(super) fn table<S: Store>() -> Vec<Entry> {
    use Scope::{Everything, Export, Keys, Read, Settings, Users};
    let mut table = vec![
        by_operator("POST", Everything, "/api/app", apps::create::<S>, &app::CREATE),
        by_operator("GET", Read, "/api/app/connection", apps::connection::<S>, &app::CONNECTION),
        by_operator("GET", Read, "/api/app/allApps", apps::all::<S>, &app::ALL),
        by_operator("GET", Read, "/api/app/search", apps::search::<S>, &app::SEARCH),
        by_operator("GET", Read, "/api/app/appId/{app_id}", apps::one::<S>, &app::FIND),
        by_operator("GET", Read, "/api/app/getCosyncVersions", apps::versions::<S>, &app::VERSIONS),
        by_operator("POST", Settings, "/api/app/update", apps::update::<S>, &app::UPDATE),
        by_operator(
            "POST",
            Settings,
            "/api/app/updateAppSetting",
            app_settings::update_setting::<S>,
            &app::UPDATE_SETTING,
        ),
        by_operator(
            "POST",
            Settings,
            "/api/app/updateAppMetaData",
            metadata_fields::update_metadata::<S>,
            &app::UPDATE_METADATA,
        ),
        by_operator(
            "POST",
            Settings,
            "/api/app/updateAppInviteMetaData",
            metadata_fields::update_invite_metadata::<S>,
            &app::UPDATE_INVITE_METADATA,
        ),
        by_operator(
            "POST",
            Settings,
            "/api/app/deleteMetadata",
            apps::delete_metadata::<S>,
            &app::DELETE_METADATA,
        ),
        by_operator(
            "POST",
            Settings,
            "/api/app/patchAppLocales",
            apps::patch_locales::<S>,
            &app::PATCH_LOCALES,
        ),
        by_operator("POST", Everything, "/api/app/reset", apps::reset::<S>, &app::RESET),
        by_operator("DELETE", Everything, "/api/app/{app_id}", apps::remove::<S>, &app::REMOVE),
        by_operator(
            "GET",
            Read,
            "/api/app/emailTemplates",
            email_templates::email_templates::<S>,
            &app::EMAIL_TEMPLATES,
        ),
        by_operator(
            "POST",
            Settings,
            "/api/app/updateEmailTemplate",
            email_templates::update_email_template::<S>,
            &app::UPDATE_EMAIL_TEMPLATE,
        ),
        by_operator(
            "POST",
            Settings,
            "/api/app/addRemoveAppLocale",
            email_templates::set_locales::<S>,
            &app::SET_LOCALES,
        ),
        by_operator(
            "POST",
            Settings,
            "/api/app/testEmailExtension",
            app_settings::send_test_mail::<S>,
            &app::TEST_MAIL,
        ),
        by_operator(
            "POST",
            Settings,
            "/api/app/testAppTwilio",
            app_settings::send_test_sms::<S>,
            &app::TEST_SMS,
        ),
        by_operator("GET", Read, "/api/app/stat", users::stat::<S>, &of_users::STAT),
        by_operator("GET", Read, "/api/app/searchUser", users::search_users::<S>, &of_users::SEARCH_USERS),
        by_operator(
            "GET",
            Read,
            "/api/app/previewClaims",
            users::preview_claims::<S>,
            &of_users::PREVIEW_CLAIMS,
        ),
        by_operator("POST", Users, "/api/app/addUser", users::add_user::<S>, &of_users::ADD_USER),
        by_operator("POST", Users, "/api/app/removeUser", users::remove_user::<S>, &of_users::REMOVE_USER),
        by_operator("POST", Users, "/api/app/user", users::set_user_status::<S>, &of_users::SET_STATUS),
        by_operator(
            "POST",
            Users,
            "/api/app/resetUserPassword",
            users::reset_user_password::<S>,
            &of_users::RESET_PASSWORD,
        ),
        by_operator(
            "POST",
            Users,
            "/api/app/updateAppUserMetaData",
            users::update_user_metadata::<S>,
            &of_users::UPDATE_METADATA,
        ),
        by_operator(
            "POST",
            Users,
            "/api/app/setAdministrator",
            users::set_administrator::<S>,
            &of_users::SET_ADMINISTRATOR,
        ),
        by_operator("POST", Users, "/api/app/signOutUser", users::sign_out_user::<S>, &of_users::SIGN_OUT),
        by_operator("POST", Users, "/api/app/unlockUser", users::unlock_user::<S>, &of_users::UNLOCK),
        by_operator(
            "POST",
            Users,
            "/api/app/resetSecondFactor",
            users::reset_second_factor::<S>,
            &of_users::RESET_FACTOR,
        ),
        by_operator(
            "GET",
            Read,
            "/api/app/searchSingUp",
            invites::search_signups::<S>,
            &of_users::SEARCH_SIGNUPS,
        ),
        by_operator(
            "POST",
            Users,
            "/api/app/removeAppSignup",
            invites::remove_signup::<S>,
            &of_users::REMOVE_SIGNUP,
        ),
        by_operator(
            "GET",
            Read,
            "/api/app/searchInvite",
            invites::search_invites::<S>,
            &of_users::SEARCH_INVITES,
        ),
        by_operator(
            "POST",
            Users,
            "/api/app/createAppInvite",
            invites::create_invites::<S>,
            &of_users::CREATE_INVITES,
        ),
        by_operator(
            "POST",
            Users,
            "/api/app/resendAppInvite",
            invites::resend_invite::<S>,
            &of_users::RESEND_INVITE,
        ),
        by_operator(
            "POST",
            Users,
            "/api/app/removeAppInvite",
            invites::remove_invite::<S>,
            &of_users::REMOVE_INVITE,
        ),
        by_operator("GET", Read, "/api/app/appKeys", keys::list::<S>, &app::APP_KEYS),
        by_operator("POST", Keys, "/api/app/rotateAppKey", keys::rotate::<S>, &app::ROTATE_KEY),
        by_operator("POST", Keys, "/api/app/regenerateAppKey", keys::regenerate::<S>, &app::REGENERATE_KEY),
        by_operator(
            "POST",
            Keys,
            "/api/app/regenerateAppToken",
            keys::regenerate_app_token::<S>,
            &app::REGENERATE_APP_TOKEN,
        ),
        by_operator(
            "POST",
            Keys,
            "/api/app/superUserToken",
            keys::super_user_token::<S>,
            &app::SUPER_USER_TOKEN,
        ),
        by_operator("GET", Read, "/api/app/logs", logs::logs::<S>, &app::LOGS),
        by_operator("GET", Export, "/api/app/exportLogs", logs::export::<S>, &app::EXPORT_LOGS),
        by_operator("GET", Read, "/api/app/statistics", logs::statistics::<S>, &app::STATISTICS),
        by_operator("GET", Read, "/api/app/outbox", logs::outbox::<S>, &app::OUTBOX),
        by_operator("POST", Users, "/api/app/retryMessage", logs::retry_message::<S>, &app::RETRY_MESSAGE),
        by_operator("POST", Users, "/api/app/retryMessages", logs::retry_messages::<S>, &app::RETRY_MESSAGES),
        by_operator("GET", Export, "/api/app/export", moving::export_zip::<S>, &app::EXPORT_ZIP),
        by_operator(
            "GET",
            Export,
            "/api/app/exportArchive",
            moving::export_archive::<S>,
            &app::EXPORT_ARCHIVE,
        ),
        by_operator("GET", Export, "/api/app/exportUsers", moving::export_users::<S>, &app::EXPORT_USERS),
        by_operator(
            "POST",
            Everything,
            "/api/app/importDatabase",
            moving::import_database::<S>,
            &app::IMPORT,
        ),
        by_operator(
            "POST",
            Everything,
            "/api/app/createOperatorToken",
            operator_tokens::create::<S>,
            &app::CREATE_TOKEN,
        ),
        by_operator("GET", Everything, "/api/app/operatorTokens", operator_tokens::list::<S>, &app::TOKENS),
        by_operator(
            "POST",
            Everything,
            "/api/app/revokeOperatorToken",
            operator_tokens::revoke::<S>,
            &app::REVOKE_TOKEN,
        ),
        by_operator("POST", Everything, "/api/app/remoteNotification", apps::push::<S>, &app::PUSH),
    ];
    let elsewhere =
        |path| by_operator("POST", Everything, path, apps::set_up_elsewhere::<S>, &app::ELSEWHERE);
    table.extend(SET_UP_ELSEWHERE.map(elsewhere));
    table
}

/// A route of the administration API.
fn by_operator<A: FromRequest + 'static>(
    method: &'static str,
    scope: Scope,
    path: &'static str,
    handler: impl Handler<A, Output: Responder + 'static>,
    says: &'static Operation,
) -> Entry {
    let route = match method {
        "GET" => web::get(),
        "DELETE" => web::delete(),
        _ => web::post(),
    };
    Entry { method, path, takes: Takes::Operator(scope), says, route: route.to(handler) }
}
