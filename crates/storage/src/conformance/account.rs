//! What happens to an account: failures, names, removal, invitations, messages and the log of it all.

use std::net::IpAddr;

use latchkey_domain::{
    Actor, AuditEntry, AuditId, EmailTemplate, Failures, Handle, Invite, InviteId, InviteState, KnownSources,
    Locale, Metadata, Sealed, Sessions, SignupFlow, SourceTrust, TemplateName, UserChange, UserId, UserName,
    UserStatus,
};
use time::Duration;

use super::data::{at, stored_app, user, write};
use crate::Store;

/// A write of an old revision fails.
pub async fn an_app_changes_once_per_revision(store: Store) {
    let mut app = stored_app(&store, 1).await;
    app.revision = 2;
    app.settings.signup_flow = SignupFlow::Link;
    let (first, second) = (app.clone(), app.clone());
    assert!(write(&store, move |repos| repos.apps().update(&first, 1)).await);
    assert!(!write(&store, move |repos| repos.apps().update(&second, 1)).await);
    let id = app.id;
    assert_eq!(write(&store, move |repos| repos.apps().find(id)).await, Some(app));
}

/// Of many who have read the same number, one may count on.
pub async fn failures_are_counted_by_one_racer_each(store: Store) {
    let app = stored_app(&store, 1).await;
    let user = user(app.id, 1, "ana@example.com");
    let added = user.clone();
    write(&store, move |repos| repos.users().add(&added)).await;
    let racers: Vec<_> = (0..16)
        .map(|_| {
            let (store, app_id, id) = (store.clone(), app.id, user.id);
            tokio::spawn(async move {
                write(&store, move |repos| {
                    let to = Failures { count: 1, last_at: Some(at(5)) };
                    repos.users().count_failures(app_id, id, SourceTrust::Unknown, Failures::default(), to)
                })
                .await
            })
        })
        .collect();
    let mut counted = 0;
    for racer in racers {
        counted += usize::from(racer.await.unwrap());
    }
    assert_eq!(counted, 1);
    let sources = KnownSources::default().after_login(&[7; 16], 20_000).unwrap();
    let noted = sources.clone();
    let (app_id, id) = (app.id, user.id);
    let found = write(&store, move |repos| {
        let none = KnownSources::default();
        assert!(repos.users().note_sources(app_id, id, &none, &noted)?);
        assert!(!repos.users().note_sources(app_id, id, &none, &none)?, "they have changed since");
        repos.users().find(app_id, id)
    })
    .await
    .unwrap();
    assert_eq!(found.login.unknown, Failures { count: 1, last_at: Some(at(5)) });
    assert_eq!((found.login.known, found.login.sources), (Failures::default(), sources));
}

/// A reset ends all sessions and all waiting, unless the sessions have changed.
pub async fn a_reset_forgets_failures(store: Store) {
    let app = stored_app(&store, 1).await;
    let mut user = user(app.id, 1, "ana@example.com");
    user.login.unknown = Failures { count: 100, last_at: Some(at(5)) };
    let (app_id, id, sessions) = (app.id, user.id, user.sessions);
    write(&store, move |repos| repos.users().add(&user)).await;
    let old = Sessions { epoch: 7, spared: None };
    for (from, expected) in [(old, false), (sessions, true)] {
        let done = write(&store, move |repos| {
            let new = Sealed::from_bytes(vec![9; 60]);
            repos.users().reset_password(app_id, id, &new, from, from.end_all(), at(9))
        })
        .await;
        assert_eq!(done, expected);
    }
    let found = write(&store, move |repos| repos.users().find(app_id, id)).await.unwrap();
    assert_eq!((found.login.unknown, found.sessions), (Failures::default(), sessions.end_all()));
    assert_eq!(found.password.unwrap().as_bytes(), [9; 60]);
}

/// Two users cannot take one name, however fast they are.
pub async fn a_user_name_is_taken_once(store: Store) {
    let app = stored_app(&store, 1).await;
    for number in 1..=2 {
        let user = user(app.id, number, &format!("u{number}@example.com"));
        write(&store, move |repos| repos.users().add(&user)).await;
    }
    let app_id = app.id;
    let take = |number: u8| {
        let store = store.clone();
        async move {
            write(&store, move |repos| {
                let name = UserName::parse("ana").unwrap();
                if repos.users().find_by_user_name(app_id, &name)?.is_some() {
                    return Ok(false);
                }
                let change = UserChange { user_name: Some(name), ..UserChange::default() };
                let Some(user) = repos.users().find(app_id, UserId::from_bytes([number; 16]))? else {
                    return Ok(false);
                };
                repos.users().change(&user, &change, at(9))
            })
            .await
        }
    };
    let (first, second) = tokio::join!(tokio::spawn(take(1)), tokio::spawn(take(2)));
    assert_eq!(usize::from(first.unwrap()) + usize::from(second.unwrap()), 1);
    let change = UserChange {
        locale: Some(Locale::parse("FR").unwrap()),
        metadata: Some(Metadata::default()),
        status: Some(UserStatus::Suspended),
        is_administrator: Some(true),
        user_name: None,
    };
    let changed = write(&store, move |repos| {
        let id = UserId::from_bytes([1; 16]);
        let Some(user) = repos.users().find(app_id, id)? else { return Ok(None) };
        assert!(repos.users().change(&user, &change, at(11))?);
        assert!(!repos.users().change(&user, &UserChange::default(), at(12))?, "the revision has moved");
        let Some(user) = repos.users().find(app_id, id)? else { return Ok(None) };
        let (from, to) = (user.sessions, user.sessions.end_all());
        assert!(repos.users().change_sessions(app_id, id, from, to, at(11))?);
        assert!(!repos.users().change(&user, &UserChange::default(), at(12))?, "so it has with the sessions");
        repos.users().find(app_id, id)
    })
    .await
    .unwrap();
    assert_eq!((changed.locale.as_str(), changed.status), ("FR", UserStatus::Suspended));
    assert!(changed.metadata.values().is_empty());
    assert_eq!(changed.updated_at, at(11));
}

/// Who is removed is gone, and the handle is held in every spelling until its time is over.
pub async fn a_removed_handle_can_be_held(store: Store) {
    let app = stored_app(&store, 1).await;
    let user = user(app.id, 1, "kiss@example.com");
    let app_id = app.id;
    let held = write(&store, move |repos| {
        repos.users().add(&user)?;
        assert!(repos.users().remove(app_id, user.id)?);
        assert!(!repos.users().remove(app_id, user.id)?);
        repos.users().hold(app_id, &user.handle, at(50))?;
        repos.users().hold(app_id, &user.handle, at(100))?;
        let other = Handle::parse("\u{212A}iss@example.com").unwrap();
        Ok((
            repos.users().find(app_id, user.id)?.is_none(),
            repos.users().is_held(app_id, &other, at(99))?,
            repos.users().is_held(app_id, &other, at(100))?,
        ))
    })
    .await;
    assert_eq!(held, (true, true, false));
}

/// The owner is notified of a lock once in the given time.
pub async fn a_lock_is_told_once_a_day(store: Store) {
    let app = stored_app(&store, 1).await;
    let user = user(app.id, 1, "ana@example.com");
    let (app_id, id) = (app.id, user.id);
    let told = write(&store, move |repos| {
        repos.users().add(&user)?;
        let day = Duration::days(1);
        let mut note = |now| repos.users().note_lock_mail(app_id, id, now, now - day);
        Ok((note(at(0))?, note(at(86_399))?, note(at(86_400))?))
    })
    .await;
    assert_eq!(told, (true, false, true));
}

/// An invitation is repeated in place and used once.
pub async fn an_invite_is_verified_once(store: Store) {
    let app = stored_app(&store, 1).await;
    let app_id = app.id;
    let invite = Invite {
        app_id,
        id: InviteId::from_bytes([5; 16]),
        handle: Handle::parse("bob@example.com").unwrap(),
        sender_id: UserId::from_bytes([1; 16]),
        sender_handle: Handle::parse("ana@example.com").unwrap(),
        sender_reference: "from the client".to_owned(),
        state: InviteState::Pending,
        locale: Locale::EN,
        metadata: Metadata::default(),
        created_at: at(1),
        updated_at: at(1),
    };
    let first_time = invite.clone();
    let repeated = Invite { created_at: at(2), updated_at: at(2), ..invite.clone() };
    let (listed, first, second) = write(&store, move |repos| {
        repos.invites().put(&invite)?;
        repos.invites().put(&repeated)?;
        let listed = repos.invites().list(app_id, &invite.handle)?;
        assert!(!repos.invites().verify(&first_time, at(3))?, "it was sent again since");
        Ok((listed, repos.invites().verify(&repeated, at(3))?, repos.invites().verify(&repeated, at(3))?))
    })
    .await;
    assert_eq!((listed.len(), listed[0].created_at, listed[0].updated_at), (1, at(1), at(2)));
    assert_eq!(listed[0].sender_reference, "from the client");
    assert!(first && !second);
    write(&store, move |repos| repos.invites().remove(app_id, InviteId::from_bytes([5; 16]))).await;
}

/// A template is stored per locale, replaced in place, and removed with its locale.
pub async fn templates_are_worded_per_locale(store: Store) {
    let app = stored_app(&store, 1).await;
    let app_id = app.id;
    let template = |locale: &str, subject: &str| EmailTemplate {
        app_id,
        name: TemplateName::Invite,
        locale: Locale::parse(locale).unwrap(),
        subject: subject.to_owned(),
        reply_to: String::new(),
        html: "<p>é%CODE%</p>".to_owned(),
        link_text: "LINK".to_owned(),
        created_at: at(1),
        updated_at: at(1),
    };
    let (old, new, other) = (template("FR", "a"), template("FR", "b"), template("EN", "c"));
    let french = new.locale;
    let (listed, found) = write(&store, move |repos| {
        let templates = repos.email_templates();
        templates.put(&old)?;
        templates.put(&new)?;
        templates.put(&other)?;
        let listed = templates.list(app_id)?;
        let found = templates.find(app_id, TemplateName::Invite, french)?;
        assert_eq!((templates.size(app_id)?, templates.size(latchkey_domain::AppId::NONE)?), (30, 0));
        templates.remove_locale(app_id, french)?;
        assert!(templates.find(app_id, TemplateName::Invite, french)?.is_none());
        Ok((listed.len(), found))
    })
    .await;
    assert_eq!((listed, found.unwrap().subject.as_str()), (2, "b"));
}

/// The log of one application, newest first, whole.
pub async fn audit_entries_come_back_newest_first(store: Store) {
    let app_id = stored_app(&store, 1).await.id;
    let entry = |number: u8| AuditEntry {
        app_id,
        id: AuditId::from_bytes([number; 16]),
        action: "login".to_owned(),
        result: "ok".to_owned(),
        actor: Actor::Operator,
        actor_name: Some("ci".to_owned()),
        user_id: Some(UserId::from_bytes([number; 16])),
        handle: Some("a***@example.com".to_owned()),
        address: Some("2001:db8::1".parse::<IpAddr>().unwrap()),
        detail: None,
        created_at: at(i64::from(number)),
    };
    let (first, second) = (entry(1), entry(2));
    let expected = vec![second.clone(), first.clone()];
    let listed = write(&store, move |repos| {
        repos.audit().add(&first)?;
        repos.audit().add(&second)?;
        repos.audit().list(app_id, 10)
    })
    .await;
    assert_eq!(listed, expected);
}
