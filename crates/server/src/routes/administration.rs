//! The routes of the administration API: each with the scope that its server secret needs.

use super::{Auth, Entry, route_of};
use crate::api::{
    app_settings, apps, email_templates, import_export, invites, keys, logs, metadata_fields,
    operator_tokens, users,
};
use crate::openapi::{app_api as app, app_users as of_users};

/// The administration API.
pub(super) fn table() -> Vec<Entry> {
    routes! {
        POST   Operator(Everything) "/api/app" apps::create => app::CREATE;
        GET    Operator(Read)       "/api/app/connection" apps::connection => app::CONNECTION;
        GET    Operator(Read)       "/api/app/allApps" apps::all => app::ALL;
        GET    Operator(Read)       "/api/app/search" apps::search => app::SEARCH;
        GET    Operator(Read)       "/api/app/appId/{app_id}" apps::one => app::FIND;
        GET    Operator(Read)       "/api/app/getCosyncVersions" apps::versions => app::VERSIONS;
        POST   Operator(Settings)   "/api/app/update" apps::update => app::UPDATE;
        POST   Operator(Settings)   "/api/app/updateAppSetting" app_settings::update_setting => app::UPDATE_SETTING;
        POST   Operator(Settings)   "/api/app/updateAppMetaData" metadata_fields::update_metadata => app::UPDATE_METADATA;
        POST   Operator(Settings)   "/api/app/updateAppInviteMetaData" metadata_fields::update_invite_metadata => app::UPDATE_INVITE_METADATA;
        POST   Operator(Settings)   "/api/app/deleteMetadata" apps::delete_metadata => app::DELETE_METADATA;
        POST   Operator(Settings)   "/api/app/patchAppLocales" apps::patch_locales => app::PATCH_LOCALES;
        POST   Operator(Everything) "/api/app/reset" apps::reset => app::RESET;
        DELETE Operator(Everything) "/api/app/{app_id}" apps::remove => app::REMOVE;
        GET    Operator(Read)       "/api/app/emailTemplates" email_templates::email_templates => app::EMAIL_TEMPLATES;
        POST   Operator(Settings)   "/api/app/updateEmailTemplate" email_templates::update_email_template => app::UPDATE_EMAIL_TEMPLATE;
        POST   Operator(Settings)   "/api/app/addRemoveAppLocale" email_templates::set_locales => app::SET_LOCALES;
        POST   Operator(Settings)   "/api/app/testEmailExtension" app_settings::send_test_mail => app::TEST_MAIL;
        POST   Operator(Settings)   "/api/app/testAppTwilio" app_settings::send_test_sms => app::TEST_SMS;
        GET    Operator(Read)       "/api/app/stat" users::stat => of_users::STAT;
        GET    Operator(Read)       "/api/app/searchUser" users::search_users => of_users::SEARCH_USERS;
        GET    Operator(Read)       "/api/app/previewClaims" users::preview_claims => of_users::PREVIEW_CLAIMS;
        POST   Operator(Users)      "/api/app/addUser" users::add_user => of_users::ADD_USER;
        POST   Operator(Users)      "/api/app/removeUser" users::remove_user => of_users::REMOVE_USER;
        POST   Operator(Users)      "/api/app/user" users::set_user_status => of_users::SET_STATUS;
        POST   Operator(Users)      "/api/app/resetUserPassword" users::reset_user_password => of_users::RESET_PASSWORD;
        POST   Operator(Users)      "/api/app/updateAppUserMetaData" users::update_user_metadata => of_users::UPDATE_METADATA;
        POST   Operator(Users)      "/api/app/setAdministrator" users::set_administrator => of_users::SET_ADMINISTRATOR;
        POST   Operator(Users)      "/api/app/signOutUser" users::sign_out_user => of_users::SIGN_OUT;
        POST   Operator(Users)      "/api/app/unlockUser" users::unlock_user => of_users::UNLOCK;
        POST   Operator(Users)      "/api/app/resetSecondFactor" users::reset_second_factor => of_users::RESET_FACTOR;
        GET    Operator(Read)       "/api/app/searchSingUp" invites::search_signups => of_users::SEARCH_SIGNUPS;
        POST   Operator(Users)      "/api/app/removeAppSignup" invites::remove_signup => of_users::REMOVE_SIGNUP;
        GET    Operator(Read)       "/api/app/searchInvite" invites::search_invites => of_users::SEARCH_INVITES;
        POST   Operator(Users)      "/api/app/createAppInvite" invites::create_invites => of_users::CREATE_INVITES;
        POST   Operator(Users)      "/api/app/resendAppInvite" invites::resend_invite => of_users::RESEND_INVITE;
        POST   Operator(Users)      "/api/app/removeAppInvite" invites::remove_invite => of_users::REMOVE_INVITE;
        GET    Operator(Read)       "/api/app/appKeys" keys::list => app::APP_KEYS;
        POST   Operator(Keys)       "/api/app/rotateAppKey" keys::rotate => app::ROTATE_KEY;
        POST   Operator(Keys)       "/api/app/regenerateAppKey" keys::regenerate => app::REGENERATE_KEY;
        POST   Operator(Keys)       "/api/app/regenerateAppToken" keys::regenerate_app_token => app::REGENERATE_APP_TOKEN;
        POST   Operator(Keys)       "/api/app/superUserToken" keys::super_user_token => app::SUPER_USER_TOKEN;
        GET    Operator(Read)       "/api/app/logs" logs::logs => app::LOGS;
        GET    Operator(Export)     "/api/app/exportLogs" logs::export => app::EXPORT_LOGS;
        GET    Operator(Read)       "/api/app/statistics" logs::statistics => app::STATISTICS;
        GET    Operator(Read)       "/api/app/outbox" logs::outbox => app::OUTBOX;
        POST   Operator(Users)      "/api/app/retryMessage" logs::retry_message => app::RETRY_MESSAGE;
        POST   Operator(Users)      "/api/app/retryMessages" logs::retry_messages => app::RETRY_MESSAGES;
        GET    Operator(Export)     "/api/app/export" import_export::export_zip => app::EXPORT_ZIP;
        GET    Operator(Export)     "/api/app/exportArchive" import_export::export_archive => app::EXPORT_ARCHIVE;
        GET    Operator(Export)     "/api/app/exportUsers" import_export::export_users => app::EXPORT_USERS;
        POST   Operator(Everything) "/api/app/importDatabase" import_export::import_database => app::IMPORT;
        POST   Operator(Everything) "/api/app/createOperatorToken" operator_tokens::create => app::CREATE_TOKEN;
        GET    Operator(Everything) "/api/app/operatorTokens" operator_tokens::list => app::TOKENS;
        POST   Operator(Everything) "/api/app/revokeOperatorToken" operator_tokens::revoke => app::REVOKE_TOKEN;
        POST   Operator(Everything) "/api/app/remoteNotification" apps::push => app::PUSH;
        // Endpoints of the reference that set up cloud projects.
        POST Operator(Everything) "/api/app/initCosyncJWT" apps::set_up_elsewhere => app::ELSEWHERE;
        POST Operator(Everything) "/api/app/reinitCosyncJWT" apps::set_up_elsewhere => app::ELSEWHERE;
        POST Operator(Everything) "/api/app/removeCosyncJWT" apps::set_up_elsewhere => app::ELSEWHERE;
        POST Operator(Everything) "/api/app/initCosyncEngine" apps::set_up_elsewhere => app::ELSEWHERE;
        POST Operator(Everything) "/api/app/reinitCosyncEngine" apps::set_up_elsewhere => app::ELSEWHERE;
        POST Operator(Everything) "/api/app/removeCosyncEngine" apps::set_up_elsewhere => app::ELSEWHERE;
        POST Operator(Everything) "/api/app/saveUserSchema" apps::set_up_elsewhere => app::ELSEWHERE;
    }
}
