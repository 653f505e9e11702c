//! API description of the administration API: applications, their settings, keys, logs, imports and exports.

use latchkey_service::Refusal;

use super::fields::{APP_ID, LIMIT, LIMIT_OF_APPS, OFFSET, TOTAL, USER_ID};
use super::operation::{
    Answers, Field, OPERATION, Operation, choice, file, flag, items, list, lists_by_name, number, one,
    setting, text, texts,
};
use crate::dto::{
    AdminApplication, CreatedApp, ImportedApp, Keys, LogPage, MintedBody, Outbox, Retried, Statistics,
    SuperTokens, TemplateBody, TestCode, TokenBody, Version,
};

const AFTER: Field = text("after", "018bcfe5680074dfbb7eac258b172229", "Where the page before ended.");
const FORCE: Field = flag("force", "Makes a field required even if users without a value are locked out.");
const NAME: Field = text("name", "Shop", "Unique.");

const APP: Answers = Answers::Json(&[one::<AdminApplication>]);
const APPS: Answers = Answers::Json(&[list::<AdminApplication>]);
const KEYS: Answers = Answers::Json(&[one::<Keys>]);

/// The fields of all settings.
const SETTINGS: &[Field] = &[
    APP_ID,
    choice("status", &["active", "inactive", "suspended", "blocked", "migrated"], ""),
    flag("invitationEnabled", ""),
    flag("signupEnabled", ""),
    choice("signupFlow", &["code", "link", "none"], "").shown(),
    flag("jwtEnabled", ""),
    flag("userNamesEnabled", ""),
    flag("anonymousLoginEnabled", ""),
    number("maxUsers", (0, u32::MAX), "0 for no limit."),
    number(
        "maxLoginAttempts",
        (0, 100),
        "Failed log-ins before waiting begins; 0 for the server's own number.",
    ),
    text("realmAppId", "none", "The claim `aud`: `none`, the application's id, or any text."),
    number("userJWTExpiration", (1, 720), "Life of a user's JWT in hours."),
    number("accessTokenDays", (1, 365), ""),
    flag("passwordFilter", "Whether the minima below are asked of passwords."),
    number("passwordMinLength", (0, 128), ""),
    number("passwordMinUpper", (0, 128), ""),
    number("passwordMinLower", (0, 128), ""),
    number("passwordMinDigit", (0, 128), ""),
    number("passwordMinSpecial", (0, 128), ""),
    flag("refuseCommonPasswords", ""),
    flag("metaDataEmail", "Whether the JWT carries the handle as claim `email`."),
    flag("emailExtension", "Whether mail goes out under the application's own sender."),
    text(
        "emailExtensionAPIKey",
        "SG.key",
        "Of its account at SendGrid, together with the sender: sealed, never told again.",
    ),
    text("emailExtensionSenderEmail", "shop@example.com", "Looked at with the key only."),
    choice("twoFactorVerification", &["none", "google", "phone"], ""),
    text(
        "TWILIOAccountSid",
        "AC0123",
        "All of an account at Twilio, or nothing of it: sealed, never told again.",
    ),
    text("TWILIOToken", "token", ""),
    text("TWILIOPhoneNumber", "+4915112345678", "This, or a messaging service."),
    text("TWILIOMessagingServiceSid", "MG0123", ""),
    flag("removeSmsAccount", ""),
    text("googleAppName", "Shop", "What authenticator apps show."),
    flag("twoFactorConfirm", "Whether a new authenticator must prove its first code."),
    flag("qrCodeMail", "Whether the picture of a new authenticator is mailed too."),
    flag("factorChangeNeedsLogin", ""),
    texts("smsCountries", "49", "Calling codes."),
    number("smsADay", (0, 1_000_000), ""),
    flag("appleLoginEnabled", ""),
    flag("googleLoginEnabled", ""),
    texts("appleBundleId", "com.example.shop", "The audiences that Apple's tokens may carry."),
    texts("appleAudiences", "com.example.shop", "The same."),
    texts(
        "googleClientId",
        "123-abc.apps.googleusercontent.com",
        "The audiences that Google's tokens may carry.",
    ),
    choice("userIdFormat", &["handle", "handle_underscore", "uid"], "What the claim `sub` holds."),
    choice(
        "linkAsksPassword",
        &["always", "elsewhere", "never"],
        "Where the page behind a sign-up's link asks for the password that was chosen at the sign-up.",
    ),
    number("handleHoldDays", (0, 3_650), "How many days the handle of a deleted user stays taken."),
    flag("neutralAnswers", "Whether sign-up and reset answer alike for known and unknown handles."),
    number("anonymousPurgeDays", (0, 3_650), "0 for never."),
    items("fixedClaims", "Claims that every user's JWT carries: objects as `FixedClaim`, at most 20."),
];

pub(crate) const CREATE: Operation = Operation {
    summary: "Create an application",
    about: "With a key pair and an app token, in the preset that clients of the reference expect. Needs a secret for all applications.",
    fields: &[NAME.required(), flag("jwtEnabled", "")],
    answers: Answers::Json(&[one::<CreatedApp>]),
    refuses: &[Refusal::AppNameTaken],
    ..OPERATION
};
pub(crate) const CONNECTION: Operation =
    Operation { summary: "Whether the server is there, and the secret good", ..OPERATION };
pub(crate) const ALL: Operation = Operation {
    summary: "Applications, newest first",
    fields: &[LIMIT_OF_APPS, OFFSET],
    answers: APPS,
    headers: &[TOTAL],
    ..OPERATION
};
pub(crate) const SEARCH: Operation = Operation {
    summary: "Applications whose name holds a text",
    about: "The text is no pattern.",
    fields: &[
        text("name", "shop", ""),
        flag("case", "Whether it is the whole name, in this case."),
        LIMIT_OF_APPS,
        OFFSET,
    ],
    ..ALL
};
pub(crate) const FIND: Operation = Operation { summary: "One application", answers: APP, ..OPERATION };
pub(crate) const VERSIONS: Operation =
    Operation { summary: "This server's version", answers: Answers::Json(&[list::<Version>]), ..OPERATION };
pub(crate) const UPDATE: Operation = Operation {
    summary: "Change several settings at once",
    about: "All that are sent, or none. What is empty changes nothing; fields that are not named here are not looked at.",
    fields: SETTINGS,
    more: &[
        NAME,
        choice("type", &["development", "commercial"], ""),
        items("metaData", "Fields to be added: objects with `path`, and what `MetadataField` says."),
        items("metaDataInvite", "The same for fields that whoever invites sets."),
        FORCE,
    ],
    answers: APP,
    refuses: &[Refusal::MissingParameter, Refusal::AppNameTaken],
    ..OPERATION
};
pub(crate) const UPDATE_SETTING: Operation = Operation {
    summary: "Change one setting",
    about: "`setting` says which one, its fields what it becomes. A field that no setting has is refused.",
    fields: SETTINGS,
    more: &[setting("setting", "The one setting that is changed.").required()],
    answers: APP,
    ..OPERATION
};
pub(crate) const UPDATE_METADATA: Operation = Operation {
    summary: "Replace the fields of users' metadata",
    fields: &[
        APP_ID,
        items("metaData", "Objects with `path`, and what `MetadataField` says.").required(),
        FORCE,
    ],
    answers: APP,
    ..OPERATION
};
pub(crate) const UPDATE_INVITE_METADATA: Operation = Operation {
    summary: "Replace the fields that whoever invites sets",
    fields: &[
        APP_ID,
        items("metaDataInvite", "Objects with `path`, and what `MetadataField` says.").required(),
    ],
    answers: APP,
    ..OPERATION
};
pub(crate) const DELETE_METADATA: Operation = Operation {
    summary: "Remove one field of metadata",
    fields: &[
        APP_ID,
        choice("type", &["metaData", "metaDataInvite"], "Of which list.").required(),
        number("index", (0, u32::MAX), "Which one, from 0 on.").required(),
    ],
    answers: APP,
    refuses: &[Refusal::Unknown],
    ..OPERATION
};
pub(crate) const PATCH_LOCALES: Operation =
    Operation { summary: "Nothing: missing messages are the built-in ones", ..OPERATION };
pub(crate) const RESET: Operation = Operation {
    summary: "Remove an application's users, sign-ups and invitations",
    about: "Settings, keys, messages, the log and what was counted stay.",
    fields: &[APP_ID],
    ..OPERATION
};
pub(crate) const REMOVE: Operation =
    Operation { summary: "Remove an application with everything of it", ..OPERATION };
pub(crate) const EMAIL_TEMPLATES: Operation = Operation {
    summary: "All messages, by locale",
    about: "As the application words them, or as they are built in.",
    fields: &[APP_ID],
    answers: Answers::Json(&[lists_by_name::<TemplateBody>]),
    ..OPERATION
};
pub(crate) const UPDATE_EMAIL_TEMPLATE: Operation = Operation {
    summary: "Word a message anew",
    fields: &[
        APP_ID,
        text("_id", "signUp-EN", "Its name and locale.").required(),
        text("subject", "Welcome to %APP_NAME%", "").required(),
        text("replyTo", "help@example.com", "The Reply-To; empty for none."),
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
    summary: "Set the locales that are offered",
    about: "English always is. Messages in a locale that goes, go with it.",
    fields: &[APP_ID, items("locales", "Two letters each.").required()],
    answers: Answers::Json(&[one::<crate::dto::Locales>]),
    ..OPERATION
};
pub(crate) const TEST_MAIL: Operation = Operation {
    summary: "Mail to the application's own sender",
    about: "Five an hour. What the provider says is the message of the error.",
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
    summary: "An application's keys, and where each stands",
    fields: &[APP_ID],
    answers: KEYS,
    ..OPERATION
};
pub(crate) const ROTATE_KEY: Operation = Operation {
    summary: "Make the next key",
    about: "Published at once, it signs later; the old one stays published until its last token has ended. No consumer notices.",
    refuses: &[Refusal::Conflict],
    ..APP_KEYS
};
pub(crate) const REGENERATE_KEY: Operation = Operation {
    summary: "Replace a key that leaked",
    about: "The old ones go at once, and with them every token that they signed.",
    ..APP_KEYS
};
pub(crate) const REGENERATE_APP_TOKEN: Operation = Operation {
    summary: "Replace the app token",
    about: "The old one ends: clients need the new one.",
    fields: &[APP_ID],
    answers: APP,
    ..OPERATION
};
pub(crate) const SUPER_USER_TOKEN: Operation = Operation {
    summary: "Tokens of an administrator of the application",
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
    text("filterAction", "login,signup", "Actions, with commas between them."),
    text("userId", "018bcfe5680074dfbb7eac258b172229", ""),
    text("fromDate", "2026-11-25", "A day, or a moment (RFC 3339)."),
    text("toDate", "2026-11-25", "A day means all of it."),
    LIMIT,
    OFFSET,
    AFTER,
];
pub(crate) const LOGS: Operation = Operation {
    summary: "The log, newest first",
    fields: &LOG_FIELDS,
    answers: Answers::Json(&[one::<LogPage>]),
    refuses: &[Refusal::UnknownUser],
    ..OPERATION
};
pub(crate) const EXPORT_LOGS: Operation = Operation {
    summary: "The log as a file",
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
    headers: &[("Content-Disposition", "With the name of the file.")],
    ..OPERATION
};
pub(crate) const STATISTICS: Operation = Operation {
    summary: "Sign-ups, completions, invitations, log-ins and failures for each day",
    fields: &[APP_ID, text("fromDate", "2026-11-01", ""), text("toDate", "2026-11-25", "")],
    answers: Answers::Json(&[one::<Statistics>]),
    ..OPERATION
};
pub(crate) const OUTBOX: Operation = Operation {
    summary: "Messages that have not left, with the reason",
    fields: &[APP_ID, AFTER],
    answers: Answers::Json(&[one::<Outbox>]),
    ..OPERATION
};
pub(crate) const RETRY_MESSAGE: Operation = Operation {
    summary: "Try a message again that was given up",
    fields: &[APP_ID, text("messageId", "018bcfe5680074dfbb7eac258b172229", "").required()],
    refuses: &[Refusal::Unknown],
    ..OPERATION
};
pub(crate) const RETRY_MESSAGES: Operation = Operation {
    summary: "Try all messages again that were given up",
    fields: &[APP_ID],
    answers: Answers::Json(&[one::<Retried>]),
    ..OPERATION
};

pub(crate) const EXPORT_ZIP: Operation = Operation {
    summary: "The application as the reference's zip file",
    fields: &[
        APP_ID,
        flag(
            "secrets",
            "The private key, accounts and authenticators' secrets too, in clear: needs the scope `keys`.",
        ),
    ],
    answers: Answers::File(&["application/zip"]),
    headers: &[("Content-Disposition", "With the name of the file.")],
    ..OPERATION
};
pub(crate) const EXPORT_ARCHIVE: Operation = Operation {
    summary: "The application as JSON lines, without secrets",
    fields: &[APP_ID],
    answers: Answers::File(&["application/jsonl"]),
    headers: &[("Content-Disposition", "With the name of the file.")],
    ..OPERATION
};
pub(crate) const EXPORT_USERS: Operation =
    Operation { summary: "The users as CSV", answers: Answers::File(&["text/csv"]), ..EXPORT_ARCHIVE };
pub(crate) const IMPORT: Operation = Operation {
    summary: "An application from the reference's zip file",
    about: "At most 64 MiB. Nothing is imported while something is wrong. Needs a secret for all applications.",
    fields: &[file("file", "The zip file.").required(), text("appName", "Shop", "").required()],
    answers: Answers::Json(&[one::<ImportedApp>]),
    refuses: &[Refusal::AppNameTaken, Refusal::Conflict],
    ..OPERATION
};

pub(crate) const CREATE_TOKEN: Operation = Operation {
    summary: "Make an operator token",
    about: "Its secret is told once. It reaches no further than the token that makes it, and does not outlive it: one for a single application makes none for all.",
    fields: &[
        text("name", "ci", "").required(),
        text("scopes", "read,users", "Of `read`, `users`, `settings`, `keys`, `export`, `everything`.")
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
    summary: "Operator tokens, newest first",
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
    summary: "Not offered: sets a cloud project up",
    about: "The answer says what to do instead.",
    answers: Answers::Never,
    refuses: &[Refusal::NotOffered],
    ..OPERATION
};
pub(crate) const PUSH: Operation = Operation { summary: "Not offered: push messages", ..ELSEWHERE };
