//! Periodic work.

use latchkey_domain::{AppId, Handle, KeyedDigest, StoredCode};
use time::Duration;

use super::data::{at, code, message, signup, stored_app, user, write};
use crate::{Expired, QuotaKey, Store};

/// However many instances want a job, one does it, until it is due again.
pub async fn a_job_is_claimed_by_one_worker(store: Store) {
    for (now, expected) in [(at(0), 1), (at(59), 0), (at(60), 1)] {
        let racers: Vec<_> = (0..8)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    let next = now + Duration::seconds(60);
                    write(&store, move |repos| repos.upkeep().claim_job("purge", now, next)).await
                })
            })
            .collect();
        let mut claimed = 0;
        for racer in racers {
            claimed += usize::from(racer.await.unwrap());
        }
        assert_eq!(claimed, expected);
    }
    write(&store, |repos| repos.upkeep().finish_job("purge", at(61))).await;
    assert_eq!(write(&store, |repos| repos.upkeep().newest_time()).await, Some(at(61)));
    // A clock that was ahead for a moment keeps nobody from the job.
    let ahead = at(91 * 86_400);
    let claim =
        |now| write(&store, move |repos| repos.upkeep().claim_job("purge", now, now + Duration::seconds(60)));
    assert!(claim(ahead).await);
    assert!(claim(at(200)).await);
    assert!(!claim(at(201)).await);
}

/// Rows go when their time is over, in batches, and no others.
pub async fn what_is_over_goes(store: Store) {
    let app_id = stored_app(&store, 1).await.id;
    for number in 1..=3 {
        let over = at(i64::from(number));
        write(&store, move |repos| {
            repos.codes().add(&StoredCode { expires_at: over, ..code(app_id, number) })
        })
        .await;
        write(&store, move |repos| repos.signups().put(&signup(app_id, number, "ana@example.com", number)))
            .await;
        let key = QuotaKey {
            app_id: AppId::NONE,
            kind: "a",
            subject: KeyedDigest::from_bytes([number; 32]),
            period: 0,
            expires_at: over,
        };
        write(&store, move |repos| repos.quotas().reserve(&key, 5)).await;
        let handle = Handle::parse(&format!("h{number}@example.com")).unwrap();
        write(&store, move |repos| repos.users().hold(app_id, &handle, over)).await;
    }
    for what in [Expired::Codes, Expired::Quotas, Expired::Signups, Expired::HeldHandles] {
        for (limit, expected) in [(1, 1), (100, 1), (100, 0)] {
            let removed = write(&store, move |repos| repos.upkeep().remove_expired(what, at(3), limit)).await;
            assert_eq!(removed, expected, "{what:?}");
        }
    }
    // A message that was given up goes; one that is due stays, however old.
    for number in [4, 5] {
        write(&store, move |repos| repos.outbox().add(&message(app_id, number))).await;
    }
    let (dead, claimed_until) = (message(app_id, 4), at(2));
    let id = dead.id;
    assert!(write(&store, move |repos| repos.outbox().claim(&dead, claimed_until)).await);
    assert!(write(&store, move |repos| repos.outbox().fail(app_id, id, claimed_until, None, "550")).await);
    for expected in [1, 0] {
        let what = Expired::DeadMessages;
        let removed = write(&store, move |repos| repos.upkeep().remove_expired(what, at(60), 9)).await;
        assert_eq!(removed, expected);
    }
    assert_eq!(
        write(&store, |repos| {
            let at = (at(60), Duration::hours(1));
            repos.outbox().list_due(latchkey_domain::Channel::Mail, at, None, 9)
        })
        .await
        .len(),
        1
    );
    for what in [Expired::Invites, Expired::AuditLog] {
        assert_eq!(write(&store, move |repos| repos.upkeep().remove_expired(what, at(3), 9)).await, 0);
    }
}

/// Who signed in again stays, and so does everybody who is not anonymous.
pub async fn unused_anonymous_users_go(store: Store) {
    let app_id = stored_app(&store, 1).await.id;
    for (number, handle, came_back) in
        [(1, "ANON_1", false), (2, "ANON_2", true), (3, "ana@example.com", false)]
    {
        let mut user = user(app_id, number, "x@example.com");
        user.handle = Handle::from_stored(handle).unwrap();
        user.last_login_at = Some(if came_back { at(1) } else { at(0) });
        write(&store, move |repos| repos.users().add(&user)).await;
    }
    let remove = |before| {
        let store = store.clone();
        async move { write(&store, move |repos| repos.upkeep().remove_unused_anonymous(app_id, before, 10)).await }
    };
    assert_eq!((remove(at(0)).await, remove(at(1)).await, remove(at(1)).await), (0, 1, 0));
    assert!(write(&store, move |repos| repos.users().are_at_least(app_id, 2)).await);
}
