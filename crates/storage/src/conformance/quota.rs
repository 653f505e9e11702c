//! Counters.

use latchkey_domain::{AppId, KeyedDigest};

use super::data::write;
use crate::{QuotaKey, Store};

fn key(kind: &'static str, subject: u8, period: i64) -> QuotaKey {
    QuotaKey {
        app_id: AppId::NONE,
        kind,
        subject: KeyedDigest::from_bytes([subject; 32]),
        period,
        expires_at: super::data::at(60),
    }
}

async fn reserve(store: &Store, key: QuotaKey, limit: u32) -> bool {
    write(store, move |repos| repos.quotas().reserve(&key, limit)).await
}

/// However many come at once, no more than the limit get through.
pub async fn racers_take_no_more_than_the_limit(store: Store) {
    let racers: Vec<_> = (0..32)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { reserve(&store, key("a", 1, 0), 5).await })
        })
        .collect();
    let mut taken = 0;
    for racer in racers {
        taken += usize::from(racer.await.unwrap());
    }
    assert_eq!(taken, 5);
    assert_eq!(write(&store, |repos| repos.quotas().used(&key("a", 1, 0))).await, 5);
    assert_eq!(write(&store, |repos| repos.quotas().used(&key("b", 1, 0))).await, 0);
}

/// Counters share nothing.
pub async fn kinds_subjects_and_periods_are_apart(store: Store) {
    assert!(!reserve(&store, key("a", 1, 0), 0).await);
    for key in [key("a", 1, 0), key("b", 1, 0), key("a", 2, 0), key("a", 1, 1)] {
        assert!(reserve(&store, key.clone(), 1).await);
        assert!(!reserve(&store, key, 1).await);
    }
    write(&store, |repos| repos.quotas().reset(&key("a", 1, 0))).await;
    assert!(reserve(&store, key("a", 1, 0), 1).await);
    assert!(!reserve(&store, key("b", 1, 0), 1).await);
}
