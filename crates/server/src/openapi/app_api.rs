//! API description of the administration API: applications, their settings, keys, logs, imports and exports.

use latchkey_domain::{AppStatus, AppType, PLAIN_SETTINGS, PlainKind, PlainSetting, TwoFactorMode};
use latchkey_service::Refusal;
use strum::VariantNames;

use super::fields::{APP_ID, LIMIT, LIMIT_OF_APPS, OFFSET, TOTAL, USER_ID};
use super::operation::{
    Answers, Field, OPERATION, Operation, choice, file, flag, items, list, lists_by_name, number, one,
    setting, text, texts,
};
use crate::dto::{
    AdminApplication, CreatedApp, ImportedApp, Keys, LogPage, MintedBody, Outbox, Retried, Statistics,
    SuperTokens, TemplateBody, TestCode, TokenBody, Version,
};

const AFTER: Field = text("after", "018bcfe5680074dfbb7eac258b172229", "The cursor of the previous page.");
const FORCE: Field = flag("force", "Make a field required even if it locks users without a value out.");
const NAME: Field = text("name", "Shop", "Unique.");

const APP: Answers = Answers::Json(&[one::<AdminApplication>]);
const APPS: Answers = Answers::Json(&[list::<AdminApplication>]);
const KEYS: Answers = Answers::Json(&[one::<Keys>]);

/// The fields of settings beside the plain ones.
const OTHER_SETTINGS: [Field; 18] = [
    APP_ID,
    choice("status", <AppStatus as VariantNames>::VARIANTS, ""),
    number(
        "maxLoginAttempts",
        (0, 100),
        "Failed log-ins before waiting begins; 0 for the server's own number.",
    ),
    text("realmAppId", "none", "The claim `aud`: `none`, the application's id, or any text."),
    text(
        "emailExtensionAPIKey",
        "SG.key",
        "Of its account at SendGrid, together with the sender: sealed, and never shown again.",
    ),
    text("emailExtensionSenderEmail", "shop@example.com", "Ignored without the key."),
    choice("twoFactorVerification", <TwoFactorMode as VariantNames>::VARIANTS, ""),
    text(
        "TWILIOAccountSid",
        "AC0123",
        "All of an account at Twilio, or nothing of it: sealed, and never shown again.",
    ),
    text("TWILIOToken", "token", ""),
    text("TWILIOPhoneNumber", "+4915112345678", "This, or a messaging service."),
    text("TWILIOMessagingServiceSid", "MG0123", ""),
    flag("removeSmsAccount", ""),
    text("googleAppName", "Shop", "The name shown in authenticator apps."),
    texts("smsCountries", "49", "Country codes."),
    texts("appleBundleId", "com.example.shop", "Accepted audiences of Apple's tokens."),
    texts("appleAudiences", "com.example.shop", "The same."),
    texts(
        "googleClientId",
        "123-abc.apps.googleusercontent.com",
        "The audiences that Google's tokens may carry.",
    ),
    items("fixedClaims", "Claims of every user's JWT: at most 20 objects like `FixedClaim`."),
];

/// The fields of all settings.
const SETTINGS: &[Field] = &all_settings();

const fn all_settings() -> [Field; OTHER_SETTINGS.len() + PLAIN_SETTINGS.len()] {
    let mut all = [APP_ID; OTHER_SETTINGS.len() + PLAIN_SETTINGS.len()];
    let (mut others, mut rest) = (OTHER_SETTINGS.as_slice(), PLAIN_SETTINGS);
    let mut free = all.as_mut_slice();
    while let Some((place, left)) = free.split_first_mut() {
        if let Some((first, more)) = others.split_first() {
            (*place, others) = (*first, more);
        } else if let Some((first, more)) = rest.split_first() {
            (*place, rest) = (plain(first), more);
        }
        free = left;
    }
    all
}

/// The field of a plain setting.
const fn plain(setting: &PlainSetting) -> Field {
    match setting.kind {
        PlainKind::Flag { .. } => flag(setting.field, setting.about),
        PlainKind::Number { least, most, .. } => number(setting.field, (least, most), setting.about),
        PlainKind::Choice { names, .. } => choice(setting.field, names, setting.about),
    }
}

pub(crate) const CREATE: Operation = Operation {
    summary: "Create an application",
    about: "With a key pair and an app token, in the compatible preset. Requires a secret for all applications.",
    fields: &[NAME.required(), flag("jwtEnabled", "")],
    answers: Answers::Json(&[one::<CreatedApp>]),
    refuses: &[Refusal::AppNameTaken],
    ..OPERATION
};
pub(crate) const CONNECTION: Operation =
    Operation { summary: "Check the server and the secret", ..OPERATION };
pub(crate) const ALL: Operation = Operation {
    summary: "List applications, newest first",
    fields: &[LIMIT_OF_APPS, OFFSET],
    answers: APPS,
    headers: &[TOTAL],
    ..OPERATION
};
pub(crate) const SEARCH: Operation = Operation {
    summary: "Search applications by name",
    about: "The text is literal.",
    fields: &[
        text("name", "shop", ""),
        flag("case", "Match the whole name, case-sensitively."),
        LIMIT_OF_APPS,
        OFFSET,
    ],
    ..ALL
};
pub(crate) const FIND: Operation = Operation { summary: "Get one application", answers: APP, ..OPERATION };
pub(crate) const VERSIONS: Operation = Operation {
    summary: "Get the server's version",
    answers: Answers::Json(&[list::<Version>]),
    ..OPERATION
};
pub(crate) const UPDATE: Operation = Operation {
    summary: "Change several settings at once",
    about: "Applies all or none. Empty values change nothing; unknown fields are ignored.",
    fields: SETTINGS,
    more: &[
        NAME,
        choice("type", <AppType as VariantNames>::VARIANTS, ""),
        items("metaData", "Fields to add: objects with `path` and the members of `MetadataField`."),
        items("metaDataInvite", "The same for fields set by the inviting user."),
        FORCE,
    ],
    answers: APP,
    refuses: &[Refusal::MissingParameter, Refusal::AppNameTaken],
    ..OPERATION
};
pub(crate) const UPDATE_SETTING: Operation = Operation {
    summary: "Change one setting",
    about: "`setting` selects the setting; its fields are the new value. Unknown fields are refused.",
    fields: SETTINGS,
    more: &[setting("setting", "The setting to change.").required()],
    answers: APP,
    ..OPERATION
};
pub(crate) const UPDATE_METADATA: Operation = Operation {
    summary: "Replace the fields of users' metadata",
    fields: &[
        APP_ID,
        items("metaData", "Objects with `path` and the members of `MetadataField`.").required(),
        FORCE,
    ],
    answers: APP,
    ..OPERATION
};
pub(crate) const UPDATE_INVITE_METADATA: Operation = Operation {
    summary: "Replace the metadata fields set by the inviting user",
    fields: &[
        APP_ID,
        items("metaDataInvite", "Objects with `path` and the members of `MetadataField`.").required(),
    ],
    answers: APP,
    ..OPERATION
};
pub(crate) const DELETE_METADATA: Operation = Operation {
    summary: "Remove a metadata field",
    fields: &[
        APP_ID,
        choice("type", &["metaData", "metaDataInvite"], "The list.").required(),
        number("index", (0, u32::MAX), "Which one, from 0 on.").required(),
    ],
    answers: APP,
    refuses: &[Refusal::Unknown],
    ..OPERATION
};
pub(crate) const PATCH_LOCALES: Operation =
    Operation { summary: "No effect: built-in templates replace missing ones", ..OPERATION };
pub(crate) const RESET: Operation = Operation {
    summary: "Remove an application's users, sign-ups and invitations",
    about: "Keeps settings, keys, templates, the log and statistics.",
    fields: &[APP_ID],
    ..OPERATION
};
pub(crate) const REMOVE: Operation =
    Operation { summary: "Remove an application with all its data", ..OPERATION };
pub(crate) const EMAIL_TEMPLATES: Operation = Operation {
    summary: "Get all templates, by locale",
    about: "The application's own, or the built-in ones.",
    fields: &[APP_ID],
    answers: Answers::Json(&[lists_by_name::<TemplateBody>]),
    ..OPERATION
};
pub(crate) const UPDATE_EMAIL_TEMPLATE: Operation = Operation {
    summary: "Replace a template",
    fields: &[
        APP_ID,
        text("_id", "signUp-EN", "Its name and locale.").required(),
        text("subject", "Welcome to %APP_NAME%", "").required(),
        text("replyTo", "help@example.com", "The Reply-To address; empty for none."),
        text(
            "htmlTemplate",
            "<p>Your code is %CODE%</p>",
            "With `%CODE%`, or `%LINK%` where it may be a link.",
        )
        .required(),
        text("localeLinkText", "Confirm", ""),
    ],
    answers: Answers::Json(&[one::<TemplateBody>]),
    ..OPERATION
};
pub(crate) const SET_LOCALES: Operation = Operation {
    summary: "Set the application's locales",
    about: "English is always included. Templates of removed locales are removed.",
    fields: &[APP_ID, items("locales", "Two letters each.").required()],
    answers: Answers::Json(&[one::<crate::dto::Locales>]),
    ..OPERATION
};
pub(crate) const TEST_MAIL: Operation = Operation {
    summary: "Send a test mail to the application's own sender",
    about: "Five an hour. The message of an error is the provider's answer.",
    fields: &[APP_ID],
    refuses: &[Refusal::MailFailed],
    ..OPERATION
};
pub(crate) const TEST_SMS: Operation = Operation {
    summary: "Send a test SMS",
    fields: &[
        APP_ID,
        text("phone", "+4915112345678", "").required(),
        text("handle", "ana@example.com", ""),
        text("locale", "EN", ""),
    ],
    answers: Answers::Json(&[one::<TestCode>]),
    refuses: &[Refusal::SmsFailed],
    ..OPERATION
};

pub(crate) const APP_KEYS: Operation = Operation {
    summary: "Get an application's keys and their states",
    fields: &[APP_ID],
    answers: KEYS,
    ..OPERATION
};
pub(crate) const ROTATE_KEY: Operation = Operation {
    summary: "Create the next key",
    about: "Published at once, it signs later; the old one stays published until its last token has expired. Consumers are not affected.",
    refuses: &[Refusal::Conflict],
    ..APP_KEYS
};
pub(crate) const REGENERATE_KEY: Operation = Operation {
    summary: "Replace a leaked key",
    about: "Invalidates the old keys and every token signed with them.",
    ..APP_KEYS
};
pub(crate) const REGENERATE_APP_TOKEN: Operation = Operation {
    summary: "Replace the app token",
    about: "Invalidates the old one: clients need the new one.",
    fields: &[APP_ID],
    answers: APP,
    ..OPERATION
};
pub(crate) const SUPER_USER_TOKEN: Operation = Operation {
    summary: "Create tokens for an administrator of the application",
    fields: &[APP_ID, USER_ID],
    answers: Answers::Json(&[one::<SuperTokens>]),
    refuses: &[
        Refusal::UnknownUser,
        Refusal::UserSuspended,
        Refusal::AppSuspended,
        Refusal::AppMigrated,
        Refusal::MetadataInvalid,
    ],
    ..OPERATION
};

const LOG_FIELDS: [Field; 10] = [
    text(
        "appId",
        "0123456789abcdef0123456789abcdef",
        "The application; `server` for entries of none, with a secret for all applications.",
    )
    .required(),
    choice("type", &["app", "user", "all"], ""),
    choice("status", &["success", "error", "all"], ""),
    text("filterAction", "login,signup", "Actions, separated by commas."),
    text("userId", "018bcfe5680074dfbb7eac258b172229", ""),
    text("fromDate", "2026-11-25", "A day or a time (RFC 3339)."),
    text("toDate", "2026-11-25", "A day is included as a whole."),
    LIMIT,
    OFFSET,
    AFTER,
];
pub(crate) const LOGS: Operation = Operation {
    summary: "Get the audit log, newest first",
    fields: &LOG_FIELDS,
    answers: Answers::Json(&[one::<LogPage>]),
    refuses: &[Refusal::UnknownUser],
    ..OPERATION
};
pub(crate) const EXPORT_LOGS: Operation = Operation {
    summary: "Export the audit log",
    fields: &[
        LOG_FIELDS[0],
        LOG_FIELDS[1],
        LOG_FIELDS[2],
        LOG_FIELDS[3],
        LOG_FIELDS[4],
        LOG_FIELDS[5],
        LOG_FIELDS[6],
        choice("format", &["csv", "jsonl"], ""),
    ],
    answers: Answers::File(&["text/csv", "application/jsonl"]),
    refuses: &[Refusal::UnknownUser],
    headers: &[("Content-Disposition", "The file name.")],
    ..OPERATION
};
pub(crate) const STATISTICS: Operation = Operation {
    summary: "Get sign-ups, completions, invitations, log-ins and failures per day",
    fields: &[APP_ID, text("fromDate", "2026-11-01", ""), text("toDate", "2026-11-25", "")],
    answers: Answers::Json(&[one::<Statistics>]),
    ..OPERATION
};
pub(crate) const OUTBOX: Operation = Operation {
    summary: "List unsent messages with the reason",
    fields: &[APP_ID, AFTER],
    answers: Answers::Json(&[one::<Outbox>]),
    ..OPERATION
};
pub(crate) const RETRY_MESSAGE: Operation = Operation {
    summary: "Retry a message that was given up",
    fields: &[APP_ID, text("messageId", "018bcfe5680074dfbb7eac258b172229", "").required()],
    refuses: &[Refusal::Unknown],
    ..OPERATION
};
pub(crate) const RETRY_MESSAGES: Operation = Operation {
    summary: "Retry all messages that were given up",
    fields: &[APP_ID],
    answers: Answers::Json(&[one::<Retried>]),
    ..OPERATION
};

pub(crate) const EXPORT_ZIP: Operation = Operation {
    summary: "Export the application as the reference's zip file",
    fields: &[
        APP_ID,
        flag(
            "secrets",
            "The private key, accounts and authenticators' secrets too, in clear: needs the scope `keys`.",
        ),
    ],
    answers: Answers::File(&["application/zip"]),
    headers: &[("Content-Disposition", "The file name.")],
    ..OPERATION
};
pub(crate) const EXPORT_ARCHIVE: Operation = Operation {
    summary: "Export the application as JSON lines, without secrets",
    fields: &[APP_ID],
    answers: Answers::File(&["application/jsonl"]),
    headers: &[("Content-Disposition", "The file name.")],
    ..OPERATION
};
pub(crate) const EXPORT_USERS: Operation =
    Operation { summary: "Export the users as CSV", answers: Answers::File(&["text/csv"]), ..EXPORT_ARCHIVE };
pub(crate) const IMPORT: Operation = Operation {
    summary: "Import an application from the reference's zip file",
    about: "At most 64 MiB. Imports nothing if there are errors. Requires a secret for all applications.",
    fields: &[file("file", "The zip file.").required(), text("appName", "Shop", "").required()],
    answers: Answers::Json(&[one::<ImportedApp>]),
    refuses: &[Refusal::AppNameTaken, Refusal::Conflict],
    ..OPERATION
};

pub(crate) const CREATE_TOKEN: Operation = Operation {
    summary: "Create an operator token",
    about: "The secret is shown only once. A token has at most the reach and expiry of the token that creates it.",
    fields: &[
        text("name", "ci", "").required(),
        text(
            "scopes",
            "read,users",
            "Any of `read`, `users`, `settings`, `keys`, `export`, `everything`, separated by commas.",
        )
        .required(),
        number("days", (1, 365), ""),
        text(
            "appId",
            "0123456789abcdef0123456789abcdef",
            "The one application that it reaches; all if none.",
        ),
    ],
    answers: Answers::Json(&[one::<MintedBody>]),
    refuses: &[Refusal::UnknownApp],
    ..OPERATION
};
pub(crate) const TOKENS: Operation = Operation {
    summary: "List operator tokens, newest first",
    fields: &[AFTER],
    answers: Answers::Json(&[list::<TokenBody>]),
    ..OPERATION
};
pub(crate) const REVOKE_TOKEN: Operation = Operation {
    summary: "Revoke an operator token",
    fields: &[text("tokenId", "018bcfe5680074dfbb7eac258b172229", "").required()],
    refuses: &[Refusal::Unknown],
    ..OPERATION
};
pub(crate) const ELSEWHERE: Operation = Operation {
    summary: "Not supported: sets up a cloud project",
    about: "The answer names the alternative.",
    answers: Answers::Never,
    refuses: &[Refusal::NotOffered],
    ..OPERATION
};
pub(crate) const PUSH: Operation = Operation { summary: "Not supported: push messages", ..ELSEWHERE };
