//! Rates as they are counted, given back and forgotten.

use std::sync::Arc;

use latchkey_domain::{Clock as _, Handle};

use super::*;

fn source(text: &str) -> Source {
    Source::at(text.parse().unwrap())
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_700_000_000 - 1_700_000_000 % 3_600 + seconds).unwrap()
}

fn taken(limits: &RateLimits, rate: Rate, from: &str, number: usize, now: OffsetDateTime) -> usize {
    (0..number).filter(|_| limits.take(rate, source(from), now).is_ok()).count()
}

#[test]
fn what_is_taken_comes_back_with_time_or_when_it_is_given_back() {
    let limits = RateLimits::new(RateRules::default());
    assert_eq!(taken(&limits, Rate::FailedLogin, "192.0.2.1", 30, at(0)), 20);
    let error = limits.take(Rate::FailedLogin, source("192.0.2.1"), at(10)).unwrap_err();
    assert!(matches!(error, ServiceError::TooMany { seconds: 50 }), "{error:?}");
    limits.give_back(Rate::FailedLogin, source("192.0.2.1"));
    assert_eq!(taken(&limits, Rate::FailedLogin, "192.0.2.1", 5, at(10)), 1);
    // Half a minute into the next one, half of the last one still counts.
    assert_eq!(taken(&limits, Rate::FailedLogin, "192.0.2.1", 30, at(90)), 10);
    assert_eq!(taken(&limits, Rate::FailedLogin, "192.0.2.1", 30, at(600)), 20);
}

#[tokio::test(start_paused = true)]
async fn sec_018_whoever_finds_the_rest_reserved_waits_and_is_told_when_that_takes_too_long() {
    let limits = Arc::new(RateLimits::new(RateRules { logins_a_minute: 2, ..RateRules::default() }));
    let clock = latchkey_domain::ManualClock::at(1_700_000_000);
    let reserve = async |limits: &Arc<RateLimits>| {
        limits.reserve_failure(source("192.0.2.1"), None, false, &clock).await
    };
    let (first, second) = (reserve(&limits).await.unwrap(), reserve(&limits).await.unwrap());
    // One that succeeds makes room; one that fails does not.
    let (third, ()) = tokio::join!(reserve(&limits), async { drop(first) });
    let third = third.unwrap();
    assert!(!second.fail(clock.now()));
    let waited = reserve(&limits).await;
    assert!(matches!(waited, Err(ServiceError::Busy)), "after the patience of the rules");
    assert!(!third.fail(clock.now()));
    assert!(matches!(reserve(&limits).await, Err(ServiceError::TooMany { .. })));
    assert!(limits.windows.lock().unwrap().held.is_empty());
    assert!(limits.reserve_failure(source("192.0.2.2"), None, false, &clock).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn sec_018_handles_under_way_count_among_those_that_failed() {
    let rules = RateRules { sprayed_handles: 3, patience: std::time::Duration::ZERO, ..RateRules::default() };
    let limits = Arc::new(RateLimits::new(rules));
    let clock = latchkey_domain::ManualClock::at(1_700_000_000);
    let reserve = async |name: &str, is_known| {
        let handle = Handle::parse(name).unwrap();
        limits.reserve_failure(source("192.0.2.1"), Some(&handle), is_known, &clock).await
    };
    let held = [reserve("a", false).await.unwrap(), reserve("b", false).await.unwrap()];
    let third = reserve("c", false).await.unwrap();
    assert!(matches!(reserve("d", false).await, Err(ServiceError::Busy)), "a fourth handle waits");
    assert!(reserve("a", false).await.is_ok(), "one of the three does not");
    assert!(reserve("d", true).await.is_ok(), "nor does a user who is known there");
    drop(third);
    assert!(reserve("d", false).await.is_ok());
    let told: Vec<bool> = held.into_iter().map(|permit| permit.fail(clock.now())).collect();
    assert_eq!(told, [false, false]);
    assert!(reserve("c", false).await.unwrap().fail(clock.now()), "the third handle that failed");
    assert!(matches!(reserve("a", false).await, Err(ServiceError::TooMany { seconds: 901 })));
}

#[test]
fn sec_016_spellings_share_a_bucket_and_a_site_has_one_too() {
    let limits = RateLimits::new(RateRules::default());
    assert_eq!(taken(&limits, Rate::SignUp, "192.0.2.1", 200, at(0)), 100);
    assert_eq!(taken(&limits, Rate::SignUp, "::ffff:192.0.2.1", 9, at(0)), 0);
    let mut all = 0;
    for subnet in 0..0x1_0000_u32 {
        all += taken(&limits, Rate::SignUp, &format!("2001:db8:1:{subnet:x}::1"), 1, at(0));
    }
    assert_eq!(all, 100, "the /48 has ten times the share of a /64");
    assert_eq!(taken(&limits, Rate::SignUp, "2001:db8:2::1", 20, at(0)), 10);
}

#[tokio::test(start_paused = true)]
async fn sec_139_a_page_leaves_half_of_each_rate_to_its_visitor() {
    let limits = Arc::new(RateLimits::new(RateRules { sprayed_handles: 3, ..RateRules::default() }));
    let visitor = source("2001:db8::1");
    let taken = |rate, from| (0..1_000).filter(|_| limits.take(rate, from, at(0)).is_ok()).count();
    for (rate, half) in
        [(Rate::Request, 300), (Rate::SignUp, 5), (Rate::CodeRequest, 5), (Rate::Anonymous, 150)]
    {
        assert_eq!((taken(rate, visitor.of_page()), taken(rate, visitor)), (half, half));
    }
    let clock = latchkey_domain::ManualClock::at(1_700_000_000);
    let fail = async |from, name: String| {
        let handle = Handle::parse(&name).unwrap();
        let permit = limits.reserve_failure(from, Some(&handle), false, &clock).await;
        permit.map(|permit| permit.fail(clock.now()))
    };
    for number in 0..10 {
        let name = format!("handle{}", number.min(2));
        assert_eq!(fail(visitor.of_page(), name).await.is_ok(), number < 3, "a page may try three handles");
    }
    assert!(limits.check_failures(visitor, clock.now()).is_ok());
    for _ in 0..17 {
        assert!(fail(visitor, "ana".into()).await.is_ok());
    }
    assert!(fail(visitor, "ana".into()).await.is_err(), "twenty in all");
}

#[test]
fn refusals_leave_nothing_behind_and_stale_keys_go() {
    let limits = RateLimits::new(RateRules::default());
    for subnet in 0..0x1_0000_u32 {
        taken(&limits, Rate::SignUp, &format!("2001:db8:1:{subnet:x}::1"), 1, at(0));
    }
    let kept = |limits: &RateLimits| limits.windows.lock().unwrap().counts.len();
    assert_eq!(kept(&limits), 101, "a hundred prefixes and their /48");
    for number in 0..20_000_u32 {
        taken(&limits, Rate::SignUp, &format!("2001:{:x}:{:x}::1", number / 100, number % 100), 1, at(60));
    }
    assert!(kept(&limits) > 40_000);
    taken(&limits, Rate::SignUp, "192.0.2.1", 1, at(3 * 3_600));
    assert_eq!(kept(&limits), 1);
}

#[test]
fn loopback_is_counted_where_a_proxy_is_declared() {
    let limits = RateLimits::new(RateRules::default());
    assert_eq!(taken(&limits, Rate::FailedLogin, "127.0.0.1", 30, at(0)), 30);
    let strict = RateLimits::new(RateRules { skip_loopback: false, ..RateRules::default() });
    assert_eq!(taken(&strict, Rate::FailedLogin, "127.0.0.1", 30, at(0)), 20);
}

#[test]
fn sec_120_a_proxy_that_is_not_declared_ends_the_exemption_of_loopback() {
    let limits = RateLimits::new(RateRules::default());
    assert_eq!(taken(&limits, Rate::SignUp, "127.0.0.1", 200, at(0)), 200);
    assert!(limits.end_loopback_exemption() && !limits.end_loopback_exemption());
    assert_eq!(taken(&limits, Rate::SignUp, "127.0.0.1", 200, at(0)), 100);
    assert!(limits.is_shared(source("::1")), "it is nobody's known address all the same");
}

#[test]
fn a_user_has_a_share_of_writes() {
    let limits = RateLimits::new(RateRules::default());
    let (app_id, user) = (AppId::from_bytes([7; 16]), UserId::from_bytes([1; 16]));
    let taken = |rate| (0..200).filter(|_| limits.take_for(rate, app_id, user, at(0)).is_ok()).count();
    assert_eq!((taken(Rate::Write), taken(Rate::NameCheck)), (60, 120));
}
