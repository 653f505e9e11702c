//! The routes of the administration API: each with the scope that its server secret needs.

use super::{Auth, Entry, route_of};
use crate::api::{
    app_settings, apps, email_templates, import_export, invites, keys, logs, metadata_fields,
    operator_tokens, users,
};

/// The administration API.
pub(super) fn table() -> Vec<Entry> {
    routes! {
        POST   Operator(Everything) "/api/app" apps::{create, CREATE};
        GET    Operator(Read)       "/api/app/connection" apps::{connection, CONNECTION};
        GET    Operator(Read)       "/api/app/allApps" apps::{all, ALL};
        GET    Operator(Read)       "/api/app/search" apps::{search, SEARCH};
        GET    Operator(Read)       "/api/app/appId/{app_id}" apps::{one, FIND};
        GET    Operator(Read)       "/api/app/getCosyncVersions" apps::{versions, VERSIONS};
        POST   Operator(Settings)   "/api/app/update" apps::{update, UPDATE};
        POST   Operator(Settings)   "/api/app/updateAppSetting" app_settings::{update_setting, UPDATE_SETTING};
        POST   Operator(Settings)   "/api/app/updateAppMetaData" metadata_fields::{update_metadata, UPDATE_METADATA};
        POST   Operator(Settings)   "/api/app/updateAppInviteMetaData" metadata_fields::{update_invite_metadata, UPDATE_INVITE_METADATA};
        POST   Operator(Settings)   "/api/app/deleteMetadata" apps::{delete_metadata, DELETE_METADATA};
        POST   Operator(Settings)   "/api/app/patchAppLocales" apps::{patch_locales, PATCH_LOCALES};
        POST   Operator(Everything) "/api/app/reset" apps::{reset, RESET};
        DELETE Operator(Everything) "/api/app/{app_id}" apps::{remove, REMOVE};
        GET    Operator(Read)       "/api/app/emailTemplates" email_templates::{email_templates, EMAIL_TEMPLATES};
        POST   Operator(Settings)   "/api/app/updateEmailTemplate" email_templates::{update_email_template, UPDATE_EMAIL_TEMPLATE};
        POST   Operator(Settings)   "/api/app/addRemoveAppLocale" email_templates::{set_locales, SET_LOCALES};
        POST   Operator(Settings)   "/api/app/testEmailExtension" app_settings::{send_test_mail, TEST_MAIL};
        POST   Operator(Settings)   "/api/app/testAppTwilio" app_settings::{send_test_sms, TEST_SMS};
        GET    Operator(Read)       "/api/app/stat" users::{stat, STAT};
        GET    Operator(Read)       "/api/app/searchUser" users::{search_users, SEARCH_USERS};
        GET    Operator(Read)       "/api/app/previewClaims" users::{preview_claims, PREVIEW_CLAIMS};
        POST   Operator(Users)      "/api/app/addUser" users::{add_user, ADD_USER};
        POST   Operator(Users)      "/api/app/removeUser" users::{remove_user, REMOVE_USER};
        POST   Operator(Users)      "/api/app/user" users::{set_user_status, SET_STATUS};
        POST   Operator(Users)      "/api/app/resetUserPassword" users::{reset_user_password, RESET_PASSWORD};
        POST   Operator(Users)      "/api/app/updateAppUserMetaData" users::{update_user_metadata, UPDATE_METADATA};
        POST   Operator(Users)      "/api/app/setAdministrator" users::{set_administrator, SET_ADMINISTRATOR};
        POST   Operator(Users)      "/api/app/signOutUser" users::{sign_out_user, SIGN_OUT};
        POST   Operator(Users)      "/api/app/unlockUser" users::{unlock_user, UNLOCK};
        POST   Operator(Users)      "/api/app/resetSecondFactor" users::{reset_second_factor, RESET_FACTOR};
        GET    Operator(Read)       "/api/app/searchSingUp" invites::{search_signups, SEARCH_SIGNUPS};
        POST   Operator(Users)      "/api/app/removeAppSignup" invites::{remove_signup, REMOVE_SIGNUP};
        GET    Operator(Read)       "/api/app/searchInvite" invites::{search_invites, SEARCH_INVITES};
        POST   Operator(Users)      "/api/app/createAppInvite" invites::{create_invites, CREATE_INVITES};
        POST   Operator(Users)      "/api/app/resendAppInvite" invites::{resend_invite, RESEND_INVITE};
        POST   Operator(Users)      "/api/app/removeAppInvite" invites::{remove_invite, REMOVE_INVITE};
        GET    Operator(Read)       "/api/app/appKeys" keys::{list, APP_KEYS};
        POST   Operator(Keys)       "/api/app/rotateAppKey" keys::{rotate, ROTATE_KEY};
        POST   Operator(Keys)       "/api/app/regenerateAppKey" keys::{regenerate, REGENERATE_KEY};
        POST   Operator(Keys)       "/api/app/regenerateAppToken" keys::{regenerate_app_token, REGENERATE_APP_TOKEN};
        POST   Operator(Keys)       "/api/app/superUserToken" keys::{super_user_token, SUPER_USER_TOKEN};
        GET    Operator(Read)       "/api/app/logs" logs::{logs, LOGS};
        GET    Operator(Export)     "/api/app/exportLogs" logs::{export, EXPORT_LOGS};
        GET    Operator(Read)       "/api/app/statistics" logs::{statistics, STATISTICS};
        GET    Operator(Read)       "/api/app/outbox" logs::{outbox, OUTBOX};
        POST   Operator(Users)      "/api/app/retryMessage" logs::{retry_message, RETRY_MESSAGE};
        POST   Operator(Users)      "/api/app/retryMessages" logs::{retry_messages, RETRY_MESSAGES};
        GET    Operator(Export)     "/api/app/export" import_export::{export_zip, EXPORT_ZIP};
        GET    Operator(Export)     "/api/app/exportArchive" import_export::{export_archive, EXPORT_ARCHIVE};
        GET    Operator(Export)     "/api/app/exportUsers" import_export::{export_users, EXPORT_USERS};
        POST   Operator(Everything) "/api/app/importDatabase" import_export::{import_database, IMPORT};
        POST   Operator(Everything) "/api/app/createOperatorToken" operator_tokens::{create, CREATE_TOKEN};
        GET    Operator(Everything) "/api/app/operatorTokens" operator_tokens::{list, TOKENS};
        POST   Operator(Everything) "/api/app/revokeOperatorToken" operator_tokens::{revoke, REVOKE_TOKEN};
        POST   Operator(Everything) "/api/app/remoteNotification" apps::{push, PUSH};
        // Endpoints of the reference that set up cloud projects.
        POST Operator(Everything) "/api/app/initCosyncJWT" apps::{set_up_elsewhere, ELSEWHERE};
        POST Operator(Everything) "/api/app/reinitCosyncJWT" apps::{set_up_elsewhere, ELSEWHERE};
        POST Operator(Everything) "/api/app/removeCosyncJWT" apps::{set_up_elsewhere, ELSEWHERE};
        POST Operator(Everything) "/api/app/initCosyncEngine" apps::{set_up_elsewhere, ELSEWHERE};
        POST Operator(Everything) "/api/app/reinitCosyncEngine" apps::{set_up_elsewhere, ELSEWHERE};
        POST Operator(Everything) "/api/app/removeCosyncEngine" apps::{set_up_elsewhere, ELSEWHERE};
        POST Operator(Everything) "/api/app/saveUserSchema" apps::{set_up_elsewhere, ELSEWHERE};
    }
}
