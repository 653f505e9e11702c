//! What users do: sign up, log in, and change their account.

pub(crate) mod enrolment;
pub(crate) mod invite;
pub(crate) mod login;
pub(crate) mod names;
pub(crate) mod password;
pub(crate) mod phone;
pub(crate) mod profile;
pub(crate) mod provider_keys;
pub(crate) mod second_factor;
pub(crate) mod signup;
pub(crate) mod social;
pub(crate) mod throttle;

pub use enrolment::{ChangeFactor, Enrolled};
pub use invite::{InviteSomebody, Register};
pub use login::{AnonymousLogIn, LogIn, LoggedIn, LoginName};
pub use password::{ChangePassword, NewPassword, ResetPassword};
pub use profile::{DeleteAccount, UserView};
pub use provider_keys::{FetchedKeySet, Fetching, KeySetSource, ProviderSettings};
pub use second_factor::{CompleteLogIn, FactorCode};
pub use signup::{CompleteSignUp, LinkPressed, PressLink, SignUp, SignUpCompleted, SignedUp};
pub use social::{ProviderToken, SocialSignUp};
