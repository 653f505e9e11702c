//! Lists and searches: in order, in pages, within one application.

use latchkey_domain::{
    Actor, AppId, AuditEntry, AuditFilter, AuditId, Handle, User, UserId, UserName, search_key,
};
use time::Duration;

use super::data::{at, signup, stored_app, user, write};
use crate::{AuditStart, PageStart, Position, ScanBounds, Store};

fn handles(users: &[User]) -> Vec<&str> {
    users.iter().map(|user| user.handle.as_str()).collect()
}

async fn users(store: &Store) -> AppId {
    let (app, other) = (stored_app(store, 1).await.id, stored_app(store, 2).await.id);
    write(store, move |repos| {
        let mut named = user(app, 1, "ana@example.com");
        named.user_name = UserName::parse("queen").ok();
        let mut anonymous = user(app, 3, "x@example.com");
        anonymous.handle = Handle::parse_anonymous("ANON_1").unwrap();
        for user in [
            named,
            user(app, 2, "bob@example.com"),
            anonymous,
            user(app, 4, "anabel@example.com"),
            user(app, 5, "quentin@example.org"),
            user(other, 6, "ana@example.com"),
        ] {
            repos.users().add(&user)?;
        }
        Ok(())
    })
    .await;
    app
}

/// Newest first, by number of rows passed over or by the last one seen, with or without the anonymous.
pub async fn pages_are_newest_first(store: Store) {
    let app = users(&store).await;
    let page = async |start, limit, without| {
        store.read("test", move |readers| readers.users().page(app, start, limit, without)).await.unwrap()
    };
    let all = page(PageStart::Skip(0), 10, false).await;
    let expected =
        ["quentin@example.org", "anabel@example.com", "ANON_1", "bob@example.com", "ana@example.com"];
    assert_eq!(handles(&all), expected);
    let known = page(PageStart::Skip(1), 2, true).await;
    assert_eq!(handles(&known), ["anabel@example.com", "bob@example.com"]);
    let third = Position { created_at: all[2].created_at, id: *all[2].id.as_bytes() };
    assert_eq!(handles(&page(PageStart::After(third), 1, false).await), ["bob@example.com"]);
    let counts = store.read("test", move |readers| readers.users().count(app)).await.unwrap();
    assert_eq!(counts, (5, 1));
}

/// By the beginning of a handle or user name, in any case; a pattern is a text like any other.
pub async fn a_beginning_finds_handles_and_names(store: Store) {
    let app = users(&store).await;
    let find = async |text: &str| {
        let key = search_key(text);
        let found = store.read("test", move |readers| readers.users().beginning_with(app, &key, 10));
        found.await.unwrap()
    };
    assert_eq!(handles(&find("ANA").await), ["ana@example.com", "anabel@example.com"]);
    assert_eq!(handles(&find("que").await), ["quentin@example.org", "ana@example.com"]);
    assert_eq!(handles(&find("ANON_").await), ["ANON_1"]);
    for none in ["%", "_na", ".*", "example"] {
        assert_eq!(find(none).await.len(), 0, "{none}");
    }
}

fn bounds(rows: u32, found: usize) -> ScanBounds {
    ScanBounds { rows, found, without_anonymous: false }
}

/// Anywhere in the handle, step by step, and every row is looked at once.
pub async fn a_scan_looks_at_every_row_once(store: Store) {
    let app = users(&store).await;
    for (text, expected) in [
        ("example.com", vec!["anabel@example.com", "bob@example.com", "ana@example.com"]),
        ("uee", vec!["ana@example.com"]),
        ("%", vec![]),
    ] {
        let (mut found, mut after, mut steps) = (Vec::new(), None, 0);
        loop {
            let step = store
                .read("test", move |readers| readers.users().scan(app, after, bounds(2, 2), text))
                .await
                .unwrap();
            found.extend(step.found);
            (after, steps) = (step.next, steps + 1);
            if after.is_none() {
                break;
            }
        }
        assert_eq!((handles(&found), steps), (expected, 3), "{text}");
    }
}

/// One that has found enough goes on behind the last that it found.
pub async fn a_scan_ends_when_it_has_found_enough(store: Store) {
    let app = users(&store).await;
    let first = store
        .read("test", move |readers| readers.users().scan(app, None, bounds(10, 1), "ana"))
        .await
        .unwrap();
    assert_eq!((handles(&first.found), first.looked_at), (vec!["anabel@example.com"], 2));
    let after = first.next;
    let rest = store
        .read("test", move |readers| readers.users().scan(app, after, bounds(10, 9), "ana"))
        .await
        .unwrap();
    assert_eq!((handles(&rest.found), rest.next), (vec!["ana@example.com"], None));
}

/// Attempts have ids that say nothing of their age: their times order them.
pub async fn sign_ups_are_ordered_by_time(store: Store) {
    let app = stored_app(&store, 1).await.id;
    write(&store, move |repos| {
        for (number, age) in [(9, 1), (3, 3), (5, 2), (4, 2)] {
            let mut signup = signup(app, number, &format!("user{number}@example.com"), number);
            signup.created_at = at(100) - Duration::seconds(age);
            repos.signups().put(&signup)?;
        }
        Ok(())
    })
    .await;
    let page = async |start| {
        let page =
            store.read("test", move |readers| readers.signups().page(app, start, 2, false)).await.unwrap();
        page.iter().map(|signup| signup.id.as_bytes()[0]).collect::<Vec<_>>()
    };
    assert_eq!(page(PageStart::Skip(0)).await, [9, 5]);
    let after = Position { created_at: at(98), id: [5; 16] };
    assert_eq!(page(PageStart::After(after)).await, [4, 3]);
    let scanned = store
        .read("test", move |readers| readers.signups().scan(app, None, bounds(10, 10), "user3"))
        .await
        .unwrap();
    assert_eq!((scanned.found.len(), scanned.next), (1, None));
    let found =
        store.read("test", move |readers| readers.signups().beginning_with(app, "user", 10)).await.unwrap();
    assert_eq!(found.len(), 4);
}

/// Filters of the log narrow, its pages meet, and its days add up.
pub async fn the_log_is_filtered_and_counted(store: Store) {
    let app = stored_app(&store, 1).await.id;
    let entry = move |number: u8, action: &str, result: &str, actor| {
        let created_at = at(i64::from(number) * 10);
        let mut id = *AuditId::first_at(created_at).as_bytes();
        id[15] = number;
        AuditEntry {
            app_id: app,
            id: AuditId::from_bytes(id),
            action: action.to_owned(),
            result: result.to_owned(),
            actor,
            actor_name: None,
            user_id: Some(UserId::from_bytes([number; 16])),
            handle: None,
            address: None,
            detail: None,
            created_at,
        }
    };
    write(&store, move |repos| {
        for entry in [
            entry(1, "login", "ok", Actor::Client),
            entry(2, "login", "CredentialsWrong", Actor::Client),
            entry(3, "loginComplete", "ok", Actor::Client),
            entry(4, "update", "ok", Actor::Operator),
            entry(5, "mail.sent", "ok", Actor::Server),
        ] {
            repos.audit().add(&entry)?;
        }
        Ok(())
    })
    .await;
    let numbers = async |filter: AuditFilter, start| {
        let counted = filter.clone();
        let found = store.read("test", move |readers| readers.audit().search(app, &filter, start, 10));
        let found = found.await.unwrap();
        let total = store.read("test", move |readers| readers.audit().count(app, &counted)).await.unwrap();
        (found.iter().map(|entry| entry.id.as_bytes()[15]).collect::<Vec<_>>(), total)
    };
    let (none, first) = (AuditFilter::default, AuditStart::Skip(0));
    assert_eq!(numbers(none(), first).await, (vec![5, 4, 3, 2, 1], 5));
    assert_eq!(numbers(none(), AuditStart::Skip(3)).await, (vec![2, 1], 5));
    let fourth = entry(4, "", "", Actor::User).id;
    assert_eq!(numbers(none(), AuditStart::After(fourth)).await, (vec![3, 2, 1], 5));
    let administration = |flag| AuditFilter { is_administration: Some(flag), ..none() };
    assert_eq!(numbers(administration(true), first).await.0, [5, 4]);
    assert_eq!(numbers(administration(false), first).await.0, [3, 2, 1]);
    let failed = AuditFilter { is_success: Some(false), ..none() };
    assert_eq!(numbers(failed, first).await.0, [2]);
    let within = AuditFilter { from: Some(at(20)), until: Some(at(40)), ..none() };
    assert_eq!(numbers(within, first).await.0, [3, 2]);
    let named = AuditFilter { actions: vec!["login".to_owned(), "update".to_owned()], ..none() };
    assert_eq!(numbers(named, first).await.0, [4, 2, 1]);
    let about = AuditFilter { user_id: Some(UserId::from_bytes([3; 16])), ..none() };
    assert_eq!(numbers(about, first).await.0, [3]);
    let counted =
        store.read("test", move |readers| readers.audit().count_usage(app, at(0), at(35))).await.unwrap();
    let mut numbers: Vec<_> =
        counted.iter().map(|usage| (format!("{:?}", usage.kind), usage.number)).collect();
    numbers.sort();
    assert_eq!(numbers, [("Failures".to_owned(), 1), ("LogIns".to_owned(), 2)]);
    let day = counted[0].day;
    let kept = counted.clone();
    write(&store, move |repos| {
        repos.audit().put_usage(app, day, &kept)?;
        repos.audit().put_usage(app, day, &kept)
    })
    .await;
    let usage = store.read("test", move |readers| readers.audit().usage(app, day, day + 1)).await.unwrap();
    assert_eq!(usage.len(), 2);
    assert!(
        store
            .read("test", move |readers| readers.audit().usage(app, day + 1, day + 9))
            .await
            .unwrap()
            .is_empty()
    );
}
