//! API description of the user API, and of routes without a token.

use latchkey_service::Refusal;

use super::fields::MD5;
use super::operation::{Answers, Field, OPERATION, Operation, choice, code, flag, object, one, text, truth};
use crate::dto::{
    Application, Available, CheckedToken, Discovery, FactorSecret, Health, KeySet, LoginToken, OwnUser,
    RecoveryCodes, TokensBody,
};

const HANDLE: Field =
    text("handle", "ana@example.com", "An e-mail address; case does not matter.").required();
const NAME: Field = text("handle", "ana@example.com", "The handle or the user name.").required();
const PASSWORD: Field = text(
    "password",
    "9cc2ae8a1ba7a93da39b46fc1019c481",
    "The lower-case hexadecimal MD5 of the password, as the SDKs send it.",
)
.shown()
.like(MD5);
const RAW_PASSWORD: Field =
    text("rawPassword", "correct horse battery staple", "The password itself; one of the two is required.");
const META_DATA: Field = object("metaData", "Values of the application's metadata fields.");
const LOCALE: Field = text("locale", "EN", "Two letters; one of the application's locales.");
const CODE: Field = code("code", "The code from the message.").required();
const FACTOR_CODE: Field =
    code("code", "Required if the log-in is not recent: a code of the second factor, or a recovery code.");
const TOKEN: Field = text("token", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "The provider's ID token.").required();
const PROVIDER: Field = choice("provider", &["apple", "google"], "").required();
const NONCE: Field =
    text("nonce", "n-0S6_WzA2Mj", "The expected claim `nonce`, if the app sent one to the provider.");
const USER_NAME: Field = text("userName", "ana", "A letter followed by letters and digits.").required();
const APP_TOKEN: Field = text("appToken", "eyJhbGciOiJFZERTQSJ9.e30.c2ln", "").required();

const ATTEMPT: Field =
    text("attempt", "0123456789abcdef0123456789abcdef", "The link's reference to its sign-up.");

const TOKENS: Answers = Answers::Json(&[one::<TokensBody>]);

pub(crate) const LIVE: Operation =
    Operation { summary: "Liveness check", answers: Answers::Json(&[one::<Health>]), ..OPERATION };
pub(crate) const READY: Operation = Operation { summary: "Readiness check, including the database", ..LIVE };
pub(crate) const DOCUMENT: Operation =
    Operation { summary: "This API description", answers: Answers::File(&["application/json"]), ..OPERATION };
pub(crate) const DOCS: Operation =
    Operation { summary: "This API description as a page", answers: Answers::Redirect, ..OPERATION };
pub(crate) const DOCS_FILE: Operation = Operation {
    summary: "Files of the page",
    answers: Answers::File(&["text/html", "text/javascript", "text/css", "image/png"]),
    ..OPERATION
};
pub(crate) const JWKS: Operation = Operation {
    summary: "An application's public keys (RFC 7517)",
    about: "Keys for verifying users' JWTs. Cache them as long as `Cache-Control` allows: a new key is published long before it signs.",
    answers: Answers::Json(&[one::<KeySet>]),
    headers: &[("Cache-Control", "How long it may be cached.")],
    ..OPERATION
};
pub(crate) const DISCOVERY: Operation = Operation {
    summary: "Issuer and key address of an application (OpenID Connect Discovery)",
    answers: Answers::Json(&[one::<Discovery>]),
    headers: &[("Cache-Control", "How long it may be cached.")],
    ..OPERATION
};

pub(crate) const GET_APPLICATION: Operation = Operation {
    summary: "Get the application's public data",
    answers: Answers::Json(&[one::<Application>]),
    refuses: &[Refusal::UserSuspended],
    ..OPERATION
};
pub(crate) const SIGNUP: Operation = Operation {
    summary: "Sign up",
    about: "Flows `code` and `link` send a mail and answer `true`; flow `none` creates the account at once.",
    fields: &[HANDLE, PASSWORD, RAW_PASSWORD, META_DATA, LOCALE],
    answers: Answers::Json(&[truth, one::<TokensBody>]),
    refuses: &[Refusal::SignupOff, Refusal::HandleTaken, Refusal::MetadataInvalid],
    ..OPERATION
};
pub(crate) const COMPLETE_SIGNUP: Operation = Operation {
    summary: "Complete a sign-up with the mailed code",
    about: "Flow `link` answers the application's page instead of tokens, and requires the password unless called from where the sign-up was made.",
    fields: &[HANDLE, CODE, PASSWORD, RAW_PASSWORD],
    answers: Answers::JsonOrPage(&[one::<TokensBody>]),
    refuses: &[
        Refusal::CredentialsWrong,
        Refusal::SignupOff,
        Refusal::HandleTaken,
        Refusal::CodeExpired,
        Refusal::MetadataInvalid,
    ],
    ..OPERATION
};
pub(crate) const CONFIRMATION: Operation = Operation {
    summary: "Show the page behind a mailed link",
    about: "Opening it does not complete the sign-up, since mail scanners open links too. Errors are pages.",
    fields: &[APP_TOKEN, HANDLE, CODE, LOCALE, ATTEMPT],
    answers: Answers::Page,
    ..OPERATION
};
pub(crate) const CONFIRM: Operation = Operation {
    summary: "Complete a sign-up with that page's button",
    about: "Requires the password unless called from where the sign-up was made: setting `linkAsksPassword`. Answers are pages.",
    fields: &[APP_TOKEN, HANDLE, CODE, LOCALE, ATTEMPT, RAW_PASSWORD],
    ..CONFIRMATION
};
pub(crate) const INVITE: Operation = Operation {
    summary: "Invite a person",
    fields: &[
        HANDLE,
        text(
            "senderUserId",
            "507f1f77bcf86cd799439011",
            "What the app calls the inviting user: told to the invited.",
        )
        .required(),
        META_DATA,
    ],
    refuses: &[Refusal::InvitationsOff, Refusal::HandleTaken, Refusal::MetadataInvalid],
    ..OPERATION
};
pub(crate) const REGISTER: Operation = Operation {
    summary: "Accept an invitation",
    fields: &[HANDLE, PASSWORD, RAW_PASSWORD, CODE, META_DATA, LOCALE],
    answers: TOKENS,
    refuses: &[Refusal::InvitationsOff, Refusal::SignupOff, Refusal::HandleTaken, Refusal::MetadataInvalid],
    ..OPERATION
};
pub(crate) const LOGIN: Operation = Operation {
    summary: "Log in with a password",
    about: "Users with a second factor get a login token for `loginComplete`. Wrong passwords delay further attempts.",
    fields: &[NAME, PASSWORD, RAW_PASSWORD],
    answers: Answers::Json(&[one::<TokensBody>, one::<LoginToken>]),
    refuses: &[
        Refusal::CredentialsWrong,
        Refusal::NotVerified,
        Refusal::UserSuspended,
        Refusal::NoUserNames,
        Refusal::MetadataInvalid,
    ],
    ..OPERATION
};
pub(crate) const LOGIN_ANONYMOUS: Operation = Operation {
    summary: "Log in as an anonymous user, new or existing",
    fields: &[
        text(
            "handle",
            "ANON_0b1e5f8a",
            "`ANON_` and a random text chosen by the app. Anyone who knows it can log in.",
        )
        .required(),
        LOCALE,
    ],
    answers: TOKENS,
    refuses: &[
        Refusal::NoAnonymousLogin,
        Refusal::CredentialsWrong,
        Refusal::UserSuspended,
        Refusal::SignupOff,
        Refusal::MetadataInvalid,
    ],
    ..OPERATION
};
pub(crate) const LOGIN_COMPLETE: Operation = Operation {
    summary: "Complete a log-in with the second factor",
    fields: &[
        text("loginToken", "eyJhbGciOiJFZERTQSJ9.e30.c2ln", "The login token from `login`.").required(),
        code("code", "The authenticator's code, the SMS code, or a recovery code.").required(),
    ],
    answers: TOKENS,
    refuses: &[Refusal::CredentialsWrong, Refusal::UserSuspended, Refusal::MetadataInvalid],
    ..OPERATION
};
pub(crate) const SOCIAL_LOGIN: Operation = Operation {
    summary: "Log in with Apple or Google",
    fields: &[TOKEN, PROVIDER, NONCE],
    answers: TOKENS,
    refuses: &[
        Refusal::NoAppleLogin,
        Refusal::NoGoogleLogin,
        Refusal::ProviderTokenInvalid,
        Refusal::AccountUnknown,
        Refusal::HandleAccountExists,
        Refusal::AppleAccountExists,
        Refusal::GoogleAccountExists,
        Refusal::UserSuspended,
        Refusal::MetadataInvalid,
    ],
    ..OPERATION
};
pub(crate) const SOCIAL_SIGNUP: Operation = Operation {
    summary: "Sign up with Apple or Google",
    fields: &[HANDLE, TOKEN, PROVIDER, NONCE, META_DATA, LOCALE],
    answers: TOKENS,
    refuses: &[
        Refusal::NoAppleLogin,
        Refusal::NoGoogleLogin,
        Refusal::ProviderTokenInvalid,
        Refusal::SignupOff,
        Refusal::HandleAccountExists,
        Refusal::AppleAccountExists,
        Refusal::GoogleAccountExists,
        Refusal::MetadataInvalid,
    ],
    ..OPERATION
};
pub(crate) const FORGOT_PASSWORD: Operation = Operation {
    summary: "Request a mailed reset code",
    fields: &[NAME],
    refuses: &[Refusal::AccountUnknown, Refusal::UserSuspended, Refusal::NoUserNames],
    ..OPERATION
};
pub(crate) const RESET_PASSWORD: Operation = Operation {
    summary: "Set a new password with a reset code",
    about: "Ends all sessions and keeps second factors. The app token may also be sent in `access-token`, as the Kotlin SDK does.",
    fields: &[NAME, PASSWORD, RAW_PASSWORD, CODE],
    refuses: &[Refusal::UserSuspended, Refusal::NoUserNames],
    ..OPERATION
};
pub(crate) const GET_USER: Operation =
    Operation { summary: "Get the calling user", answers: Answers::Json(&[one::<OwnUser>]), ..OPERATION };
pub(crate) const CHECK: Operation = Operation {
    summary: "Validate an access token, for gateways",
    about: "For `auth_request` and similar: 200 with the user in headers, or 401. All other endpoints of the user API answer 400.",
    fields: &[text("appId", "0123456789abcdef0123456789abcdef", "Refuses tokens of other applications.")],
    answers: Answers::Json(&[one::<CheckedToken>]),
    headers: &[
        ("X-Latchkey-App", "The application's id."),
        ("X-Latchkey-User", "The user's id."),
        ("X-Latchkey-Handle", "The handle; `%` and everything but visible ASCII is percent-encoded."),
        ("X-Latchkey-User-Name", "The user name, if there is one."),
    ],
    ..OPERATION
};
pub(crate) const CHANGE_PASSWORD: Operation = Operation {
    summary: "Change the password",
    about: "Ends all other sessions and notifies the user by mail.",
    fields: &[
        PASSWORD,
        RAW_PASSWORD,
        text("newPassword", "e54d19471c7bbfa19546af4e4a8c2a53", "As `password`.").shown().like(MD5),
        text("newRawPassword", "another horse battery staple", "As `rawPassword`."),
    ],
    refuses: &[Refusal::InvalidData],
    ..OPERATION
};
pub(crate) const USER_NAME_AVAILABLE: Operation = Operation {
    summary: "Check whether a user name is free",
    fields: &[USER_NAME],
    answers: Answers::Json(&[one::<Available>]),
    refuses: &[Refusal::NoUserNames],
    ..OPERATION
};
pub(crate) const SET_USER_NAME: Operation = Operation {
    summary: "Set the user name",
    fields: &[USER_NAME],
    refuses: &[Refusal::NoUserNames, Refusal::UserNameTaken],
    ..OPERATION
};
pub(crate) const SET_LOCALE: Operation = Operation {
    summary: "Set the language of mails",
    fields: &[LOCALE.required().like("^[A-Z]{2}$")],
    ..OPERATION
};
pub(crate) const SET_USER_METADATA: Operation = Operation {
    summary: "Change editable metadata",
    fields: &[META_DATA.required()],
    refuses: &[Refusal::MetadataInvalid],
    ..OPERATION
};
pub(crate) const SET_PHONE: Operation = Operation {
    summary: "Set the phone number and send a code to it",
    fields: &[text("phone", "+4915112345678", "With `+` and country code.").required(), FACTOR_CODE],
    refuses: &[Refusal::NoPhoneFactor, Refusal::PhoneTaken, Refusal::SmsFailed, Refusal::CredentialsWrong],
    ..OPERATION
};
pub(crate) const VERIFY_PHONE: Operation = Operation {
    summary: "Verify the phone number with the code",
    fields: &[CODE],
    refuses: &[Refusal::NoPhoneFactor, Refusal::PhoneTaken],
    ..OPERATION
};
pub(crate) const SET_FACTOR: Operation = Operation {
    summary: "Enrol or remove a second factor",
    about: "Follows the application's mode on either path. A new authenticator's secret is shown only once.",
    fields: &[
        flag("twoFactor", "Enrol, or remove if false.").shown(),
        choice("factor", &["google", "phone"], "Selects the factor, if it is not the one of the mode."),
        FACTOR_CODE,
    ],
    answers: Answers::Json(&[truth, one::<FactorSecret>]),
    refuses: &[
        Refusal::NoAuthenticator,
        Refusal::NoPhoneFactor,
        Refusal::PhoneNotVerified,
        Refusal::CredentialsWrong,
    ],
    ..OPERATION
};
pub(crate) const CONFIRM_GOOGLE: Operation = Operation {
    summary: "Confirm a new authenticator with its first code",
    fields: &[CODE],
    refuses: &[Refusal::NoAuthenticator],
    ..OPERATION
};
pub(crate) const NEW_RECOVERY_CODES: Operation = Operation {
    summary: "Create new recovery codes",
    about: "Invalidates the old ones. Each replaces a second factor once.",
    fields: &[FACTOR_CODE],
    answers: Answers::Json(&[one::<RecoveryCodes>]),
    refuses: &[Refusal::CredentialsWrong],
    ..OPERATION
};
pub(crate) const SET_APP_DATA: Operation = Operation {
    summary: "Replace the `appData` of `getApplication`",
    about: "For administrators of the application, with the access token of `superUserToken`.",
    fields: &[object("appData", "At most 16 KiB.").required()],
    ..OPERATION
};
pub(crate) const DELETE_ACCOUNT: Operation = Operation {
    summary: "Delete the account",
    about: "With handle and password, or with a new ID token of the provider.",
    fields: &[
        text("handle", "ana@example.com", "The handle or the user name.").shown(),
        PASSWORD,
        RAW_PASSWORD,
        text("token", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "The provider's ID token."),
        NONCE,
    ],
    refuses: &[
        Refusal::MissingParameter,
        Refusal::CredentialsWrong,
        Refusal::NoUserNames,
        Refusal::NoAppleLogin,
        Refusal::NoGoogleLogin,
        Refusal::ProviderTokenInvalid,
    ],
    ..OPERATION
};
