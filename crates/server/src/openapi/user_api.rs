//! API description of the user API, and of routes without a token.

use latchkey_service::Refusal;

use super::fields::MD5;
use super::operation::{Answers, Field, OPERATION, Operation, choice, code, flag, object, one, text, truth};
use crate::dto::{
    Application, Available, CheckedToken, Discovery, FactorSecret, Health, KeySet, LoginToken, OwnUser,
    RecoveryCodes, TokensBody,
};

const HANDLE: Field = text("handle", "ana@example.com", "A mail address, in any case.").required();
const NAME: Field = text("handle", "ana@example.com", "The handle, or the user name.").required();
const PASSWORD: Field = text(
    "password",
    "9cc2ae8a1ba7a93da39b46fc1019c481",
    "The lower-case hexadecimal MD5 of the password, as the SDKs send it.",
)
.shown()
.like(MD5);
const RAW_PASSWORD: Field =
    text("rawPassword", "correct horse battery staple", "The password itself: one of the two is needed.");
const META_DATA: Field = object("metaData", "Values of the fields that the application declares.");
const LOCALE: Field = text("locale", "EN", "Two letters, among those that the application offers.");
const CODE: Field = code("code", "The code that was sent.").required();
const FACTOR_CODE: Field =
    code("code", "Needed where the log-in is long ago: a code of the second factor, or a recovery code.");
const TOKEN: Field = text("token", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "The provider's ID token.").required();
const PROVIDER: Field = choice("provider", &["apple", "google"], "").required();
const NONCE: Field = text("nonce", "n-0S6_WzA2Mj", "What the claim `nonce` must hold, if the app sent one.");
const USER_NAME: Field = text("userName", "ana", "A letter, then letters and digits.").required();
const APP_TOKEN: Field = text("appToken", "eyJhbGciOiJFZERTQSJ9.e30.c2ln", "").required();

const ATTEMPT: Field =
    text("attempt", "0123456789abcdef0123456789abcdef", "Which sign-up the link is of, as the link says it.");

const TOKENS: Answers = Answers::Json(&[one::<TokensBody>]);

pub(crate) const LIVE: Operation = Operation {
    summary: "Whether the process is there",
    answers: Answers::Json(&[one::<Health>]),
    ..OPERATION
};
pub(crate) const READY: Operation =
    Operation { summary: "Whether it can serve: the database answers", ..LIVE };
pub(crate) const DOCUMENT: Operation = Operation {
    summary: "This description of the API",
    answers: Answers::File(&["application/json"]),
    ..OPERATION
};
pub(crate) const DOCS: Operation =
    Operation { summary: "This description as a page", answers: Answers::Redirect, ..OPERATION };
pub(crate) const DOCS_FILE: Operation = Operation {
    summary: "The page, and what it is made of",
    answers: Answers::File(&["text/html", "text/javascript", "text/css", "image/png"]),
    ..OPERATION
};
pub(crate) const JWKS: Operation = Operation {
    summary: "An application's public keys (RFC 7517)",
    about: "What verifies users' JWTs. May be kept as long as `Cache-Control` says: a new key is published long before it signs.",
    answers: Answers::Json(&[one::<KeySet>]),
    headers: &[("Cache-Control", "How long it may be kept.")],
    ..OPERATION
};
pub(crate) const DISCOVERY: Operation = Operation {
    summary: "Where an application's keys are (OpenID Connect Discovery)",
    answers: Answers::Json(&[one::<Discovery>]),
    headers: &[("Cache-Control", "How long it may be kept.")],
    ..OPERATION
};

pub(crate) const GET_APPLICATION: Operation = Operation {
    summary: "The application, as its clients may know it",
    answers: Answers::Json(&[one::<Application>]),
    refuses: &[Refusal::UserSuspended],
    ..OPERATION
};
pub(crate) const SIGNUP: Operation = Operation {
    summary: "Sign up",
    about: "In the flows `code` and `link` a mail is sent and `true` is answered; in the flow `none` the account exists at once.",
    fields: &[HANDLE, PASSWORD, RAW_PASSWORD, META_DATA, LOCALE],
    answers: Answers::Json(&[truth, one::<TokensBody>]),
    refuses: &[Refusal::SignupOff, Refusal::HandleTaken, Refusal::MetadataInvalid],
    ..OPERATION
};
pub(crate) const COMPLETE_SIGNUP: Operation = Operation {
    summary: "Complete a sign-up with the code that was mailed",
    about: "In the flow `link` the application's page is answered instead of tokens, and elsewhere than the sign-up came from it needs the password too.",
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
    summary: "The page behind a mailed link",
    about: "It asks, and completes nothing by itself: mail scanners open links too. Errors are pages.",
    fields: &[APP_TOKEN, HANDLE, CODE, LOCALE, ATTEMPT],
    answers: Answers::Page,
    ..OPERATION
};
pub(crate) const CONFIRM: Operation = Operation {
    summary: "The button of that page",
    about: "Elsewhere than the sign-up came from, it needs the password too: setting `linkAsksPassword`. Its answers are pages.",
    fields: &[APP_TOKEN, HANDLE, CODE, LOCALE, ATTEMPT, RAW_PASSWORD],
    ..CONFIRMATION
};
pub(crate) const INVITE: Operation = Operation {
    summary: "Invite somebody",
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
    about: "Whoever has a second factor gets a login token, for `loginComplete`. Guessing slows down.",
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
    summary: "Log in without an account, or come back to it",
    fields: &[
        text("handle", "ANON_0b1e5f8a", "`ANON_` and what the app chose: whoever knows it is this user.")
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
        text("loginToken", "eyJhbGciOiJFZERTQSJ9.e30.c2ln", "What `login` answered.").required(),
        code("code", "Of the authenticator, of the SMS, or a recovery code.").required(),
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
    summary: "Have a reset code mailed",
    fields: &[NAME],
    refuses: &[Refusal::AccountUnknown, Refusal::UserSuspended, Refusal::NoUserNames],
    ..OPERATION
};
pub(crate) const RESET_PASSWORD: Operation = Operation {
    summary: "Set a new password with a reset code",
    about: "All sessions end. Second factors stay. The app token may also stand in `access-token`, as the Kotlin SDK sends it.",
    fields: &[NAME, PASSWORD, RAW_PASSWORD, CODE],
    refuses: &[Refusal::UserSuspended, Refusal::NoUserNames],
    ..OPERATION
};
pub(crate) const GET_USER: Operation =
    Operation { summary: "The user themselves", answers: Answers::Json(&[one::<OwnUser>]), ..OPERATION };
pub(crate) const CHECK: Operation = Operation {
    summary: "Validate an access token, for gateways",
    about: "For `auth_request` and similar: 200 with the user in headers, or 401. All other endpoints of the user API answer 400.",
    fields: &[text("appId", "0123456789abcdef0123456789abcdef", "Tokens of other applications are refused.")],
    answers: Answers::Json(&[one::<CheckedToken>]),
    headers: &[
        ("X-Latchkey-App", "The application's id."),
        ("X-Latchkey-User", "The user's id."),
        ("X-Latchkey-Handle", "The handle; what is not visible ASCII, and `%`, percent-encoded."),
        ("X-Latchkey-User-Name", "The user name, if there is one."),
    ],
    ..OPERATION
};
pub(crate) const CHANGE_PASSWORD: Operation = Operation {
    summary: "Change the password",
    about: "All other sessions end, and the user is told by mail.",
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
    summary: "Whether a user name is free",
    fields: &[USER_NAME],
    answers: Answers::Json(&[one::<Available>]),
    refuses: &[Refusal::NoUserNames],
    ..OPERATION
};
pub(crate) const SET_USER_NAME: Operation = Operation {
    summary: "Take a user name",
    fields: &[USER_NAME],
    refuses: &[Refusal::NoUserNames, Refusal::UserNameTaken],
    ..OPERATION
};
pub(crate) const SET_LOCALE: Operation = Operation {
    summary: "Choose the language of mails",
    fields: &[LOCALE.required().like("^[A-Z]{2}$")],
    ..OPERATION
};
pub(crate) const SET_USER_METADATA: Operation = Operation {
    summary: "Change metadata, as far as the application lets users",
    fields: &[META_DATA.required()],
    refuses: &[Refusal::MetadataInvalid],
    ..OPERATION
};
pub(crate) const SET_PHONE: Operation = Operation {
    summary: "Set the telephone number, and have a code sent to it",
    fields: &[
        text("phone", "+4915112345678", "With `+` and the code of its country.").required(),
        FACTOR_CODE,
    ],
    refuses: &[Refusal::NoPhoneFactor, Refusal::PhoneTaken, Refusal::SmsFailed, Refusal::CredentialsWrong],
    ..OPERATION
};
pub(crate) const VERIFY_PHONE: Operation = Operation {
    summary: "Verify the telephone number with the code",
    fields: &[CODE],
    refuses: &[Refusal::NoPhoneFactor, Refusal::PhoneTaken],
    ..OPERATION
};
pub(crate) const SET_FACTOR: Operation = Operation {
    summary: "Enrol in the second factor, or leave it",
    about: "Does what the application's mode says, whichever of the two paths is called. A new authenticator's secret is told once.",
    fields: &[
        flag("twoFactor", "Whether to have it.").shown(),
        choice("factor", &["google", "phone"], "Which one goes, where the application's mode changed since."),
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
    summary: "Prove a new authenticator with its first code",
    fields: &[CODE],
    refuses: &[Refusal::NoAuthenticator],
    ..OPERATION
};
pub(crate) const NEW_RECOVERY_CODES: Operation = Operation {
    summary: "Get new recovery codes",
    about: "The old ones end. Each works once in the place of a second factor.",
    fields: &[FACTOR_CODE],
    answers: Answers::Json(&[one::<RecoveryCodes>]),
    refuses: &[Refusal::CredentialsWrong],
    ..OPERATION
};
pub(crate) const SET_APP_DATA: Operation = Operation {
    summary: "Replace what `getApplication` shows as `appData`",
    about: "For administrators of the application, with the access token of `superUserToken`.",
    fields: &[object("appData", "At most 16 KiB.").required()],
    ..OPERATION
};
pub(crate) const DELETE_ACCOUNT: Operation = Operation {
    summary: "Delete one's account",
    about: "With handle and password, or with a new ID token of the provider.",
    fields: &[
        text("handle", "ana@example.com", "The handle, or the user name.").shown(),
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
