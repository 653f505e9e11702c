//! API description of the administration API: users, sign-ups and invitations.

use latchkey_service::Refusal;

use super::fields::{APP_ID, LIMIT, MD5, OFFSET, TOTAL, USER_ID};
use super::operation::{Answers, Field, OPERATION, Operation, choice, flag, items, list, object, one, text};
use crate::dto::{Claims, InviteBody, Invited, SignupBody, Stat, UserBody};

const HANDLE: Field = text("handle", "ana@example.com", "").required();
const VALUE: Field =
    text("value", "ana", "A part of the handle or user name; case does not matter, the text is literal.")
        .required();
const WHICH: Field =
    text("_id", "018bcfe5680074dfbb7eac258b172229", "Only this one; by default all of the handle.");
const HIDE: Field = flag("hideAnonUser", "Exclude anonymous users.");
const USER: Answers = Answers::Json(&[one::<UserBody>]);
const COMPLETE: (&str, &str) = ("X-Search-Complete", "`true` if the result is complete.");

pub(crate) const STAT: Operation = Operation {
    summary: "List users, sign-ups and invitations, with totals",
    about: "Without a target, a page of each.",
    fields: &[
        APP_ID,
        choice("target", &["users", "invites", "signups"], ""),
        LIMIT,
        OFFSET,
        text("after", "AAYHN8kMAACUmp", "The `X-Next` of the previous page."),
        HIDE,
    ],
    answers: Answers::Json(&[one::<Stat>]),
    headers: &[TOTAL, ("X-Next", "The `after` of the next page.")],
    ..OPERATION
};
pub(crate) const SEARCH_USERS: Operation = Operation {
    summary: "Search users by handle or user name",
    about: "Matches at the beginning among all users, elsewhere among the newest 100,000; at most 200.",
    fields: &[APP_ID, VALUE, HIDE],
    answers: Answers::Json(&[list::<UserBody>]),
    headers: &[TOTAL, COMPLETE],
    ..OPERATION
};
pub(crate) const SEARCH_SIGNUPS: Operation = Operation {
    summary: "Search sign-ups by handle",
    fields: &[APP_ID, VALUE],
    answers: Answers::Json(&[list::<SignupBody>]),
    ..SEARCH_USERS
};
pub(crate) const SEARCH_INVITES: Operation = Operation {
    summary: "Search invitations by handle",
    answers: Answers::Json(&[list::<InviteBody>]),
    ..SEARCH_SIGNUPS
};
pub(crate) const PREVIEW_CLAIMS: Operation = Operation {
    summary: "Preview the claims of a user's JWT",
    fields: &[APP_ID, USER_ID],
    answers: Answers::Json(&[one::<Claims>]),
    refuses: &[Refusal::UnknownUser, Refusal::MetadataInvalid],
    ..OPERATION
};
pub(crate) const ADD_USER: Operation = Operation {
    summary: "Add a user",
    fields: &[
        APP_ID,
        HANDLE,
        text(
            "password",
            "9cc2ae8a1ba7a93da39b46fc1019c481",
            "The lower-case hexadecimal MD5 of the password.",
        )
        .shown()
        .like(MD5),
        text(
            "rawPassword",
            "correct horse battery staple",
            "The password itself; one of the two is required.",
        ),
        text("locale", "EN", ""),
        object("metaData", "Declared fields."),
        flag("administrator", ""),
    ],
    answers: USER,
    refuses: &[Refusal::HandleTaken, Refusal::MetadataInvalid, Refusal::SignupOff],
    ..OPERATION
};
pub(crate) const REMOVE_USER: Operation = Operation {
    summary: "Remove a user with all their data",
    fields: &[APP_ID, HANDLE],
    answers: USER,
    refuses: &[Refusal::UnknownUser],
    ..OPERATION
};
const OF_A_USER: Operation =
    Operation { fields: &[APP_ID, USER_ID], refuses: &[Refusal::UnknownUser], ..OPERATION };
pub(crate) const SET_STATUS: Operation = Operation {
    summary: "Suspend a user, which ends all sessions, or reactivate them",
    fields: &[APP_ID, USER_ID, choice("status", &["active", "suspend"], "").required()],
    ..OF_A_USER
};
pub(crate) const RESET_PASSWORD: Operation = Operation {
    summary: "Set a user's password, or mail them a reset code",
    about: "Without a password, mails a code. With one, ends all sessions and notifies the user, without the password.",
    fields: &[
        APP_ID,
        USER_ID,
        text(
            "hashValue",
            "9cc2ae8a1ba7a93da39b46fc1019c481",
            "The lower-case hexadecimal MD5 of the new password.",
        )
        .like(MD5),
        text("rawValue", "another horse battery staple", "The new password itself."),
    ],
    ..OF_A_USER
};
pub(crate) const UPDATE_METADATA: Operation = Operation {
    summary: "Replace a user's metadata",
    about: "Operators may set every declared field. Undeclared values stay and cannot be added.",
    fields: &[
        APP_ID,
        HANDLE,
        object("metaData", "").required(),
        items("addedMetadata", "Single values: objects with `path` and `value`."),
    ],
    refuses: &[Refusal::UnknownUser, Refusal::MetadataInvalid],
    ..OPERATION
};
pub(crate) const SET_ADMINISTRATOR: Operation = Operation {
    summary: "Make a user an administrator of the application, or revoke that",
    fields: &[APP_ID, USER_ID, flag("administrator", "").required()],
    ..OF_A_USER
};
pub(crate) const SIGN_OUT: Operation = Operation { summary: "End all of a user's sessions", ..OF_A_USER };
pub(crate) const UNLOCK: Operation = Operation { summary: "Unlock a user", ..OF_A_USER };
pub(crate) const RESET_FACTOR: Operation = Operation {
    summary: "Remove a user's second factors",
    about: "For users who lost them. Notifies the user by mail.",
    ..OF_A_USER
};
pub(crate) const CREATE_INVITES: Operation = Operation {
    summary: "Invite people",
    fields: &[
        APP_ID,
        text("handle", "bob@example.com", "One or several, separated by commas: at most 100.").required(),
        text("locale", "EN", ""),
    ],
    answers: Answers::Json(&[one::<Invited>]),
    refuses: &[Refusal::AppSuspended, Refusal::AppMigrated],
    ..OPERATION
};
pub(crate) const RESEND_INVITE: Operation = Operation {
    summary: "Resend pending invitations, each with a new code",
    fields: &[APP_ID, HANDLE, WHICH],
    refuses: &[Refusal::Unknown, Refusal::AppSuspended, Refusal::AppMigrated],
    ..OPERATION
};
pub(crate) const REMOVE_INVITE: Operation = Operation {
    summary: "Remove invitations of a handle",
    fields: &[APP_ID, HANDLE, WHICH],
    answers: Answers::Json(&[one::<InviteBody>]),
    refuses: &[Refusal::Unknown],
    ..OPERATION
};
pub(crate) const REMOVE_SIGNUP: Operation = Operation {
    summary: "Remove sign-ups of a handle",
    answers: Answers::Json(&[one::<SignupBody>]),
    ..REMOVE_INVITE
};
