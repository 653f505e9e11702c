//! Fields and answers that several endpoints of the user API have.

use crate::dto::TokensBody;
use crate::http::field::{Field, choice, code, object, text};
use crate::openapi::{Answers, shape};

pub(super) const HANDLE: Field =
    text("handle", "ana@example.com", "An e-mail address; case does not matter.").required();
pub(super) const NAME: Field = text("handle", "ana@example.com", "The handle or the user name.").required();
pub(super) const PASSWORD: Field = text(
    "password",
    "9cc2ae8a1ba7a93da39b46fc1019c481",
    "The lower-case hexadecimal MD5 of the password, as the SDKs send it.",
)
.in_example()
.matching(MD5);
pub(super) const RAW_PASSWORD: Field =
    text("rawPassword", "correct horse battery staple", "The password itself; one of the two is required.");
pub(super) const META_DATA: Field = object("metaData", "Values of the application's metadata fields.");
pub(super) const LOCALE: Field = text("locale", "EN", "Two letters; one of the application's locales.");
pub(super) const CODE: Field = code("code", "The code from the message.").required();
pub(super) const FACTOR_CODE: Field =
    code("code", "Required if the log-in is not recent: a code of the second factor, or a recovery code.");
pub(super) const TOKEN: Field =
    text("token", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "The provider's ID token.").required();
pub(super) const PROVIDER: Field = choice("provider", &["apple", "google"], "").required();
pub(super) const NONCE: Field =
    text("nonce", "n-0S6_WzA2Mj", "The expected claim `nonce`, if the app sent one to the provider.");

/// An MD5 as SDKs send it.
pub(super) const MD5: &str = "^[0-9a-f]{32}$";

pub(super) const TOKENS: Answers = Answers::Json(&[shape::<TokensBody>]);
