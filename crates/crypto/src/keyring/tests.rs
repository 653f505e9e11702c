//! Which of the server's keys are accepted, and when.

use latchkey_domain::SeededEntropy;

use super::*;

fn master(seed: u64) -> MasterKey {
    MasterKey::generate(&SeededEntropy::new(seed)).unwrap()
}

fn keys(master: &MasterKey) -> Vec<ServerKey> {
    KeyRing::create(master, OffsetDateTime::UNIX_EPOCH, &SeededEntropy::new(2)).unwrap()
}

#[test]
fn sec_098_another_master_key_is_named_not_tried() {
    let keys = keys(&master(1));
    assert!(KeyRing::open(&master(1), &keys, OffsetDateTime::UNIX_EPOCH).is_ok());
    let error = KeyRing::open(&master(3), &keys, OffsetDateTime::UNIX_EPOCH).unwrap_err();
    let KeyRingError::WrongMasterKey { stored, given } = error else { panic!("{error}") };
    assert_eq!((stored, given), (master(1).fingerprint(), master(3).fingerprint()));
}

#[test]
fn keys_that_were_wrapped_anew_open_with_the_new_key_alone() {
    let (old, new) = (master(1), master(5));
    let before = keys(&old);
    let after = KeyRing::rewrap(&old, &new, &before, &SeededEntropy::new(6)).unwrap();
    assert!(KeyRing::open(&old, &after, OffsetDateTime::UNIX_EPOCH).is_err());
    let sealed = KeyRing::open(&old, &before, OffsetDateTime::UNIX_EPOCH)
        .unwrap()
        .seal(&SealContext { purpose: "x", app_id: AppId::NONE, row: b"r" }, b"kept", &SeededEntropy::new(7))
        .unwrap();
    let ring = KeyRing::open(&new, &after, OffsetDateTime::UNIX_EPOCH).unwrap();
    let context = SealContext { purpose: "x", app_id: AppId::NONE, row: b"r" };
    assert_eq!(ring.open_sealed(&context, &sealed).unwrap().as_slice(), b"kept");
    assert!(KeyRing::rewrap(&old, &new, &after, &SeededEntropy::new(8)).is_err());
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

/// The first keys of a server, and the next ones, which serve from second 60 on.
fn two_generations() -> Vec<ServerKey> {
    let mut keys = keys(&master(1));
    let next = KeyRing::next(&master(1), &keys, at(30), at(60), &SeededEntropy::new(9)).unwrap();
    assert!(next.iter().all(|key| key.generation == 2 && key.used_from == Some(at(60))));
    keys.extend(next);
    keys
}

fn ring(keys: &[ServerKey], seconds: i64) -> KeyRing {
    KeyRing::open(&master(1), keys, at(seconds)).unwrap()
}

#[test]
fn sec_135_the_next_keys_serve_when_their_time_has_come() {
    let keys = two_generations();
    let (before, after) = (ring(&keys, 59), ring(&keys, 60));
    let of = SealContext { purpose: "x", app_id: AppId::NONE, row: b"r" };
    let entropy = SeededEntropy::new(7);
    let old = before.seal(&of, b"kept", &entropy).unwrap();
    assert!(before.reseal(&of, &old, &entropy).unwrap().is_none());
    // What another instance has sealed with the next key already opens, too.
    let new = after.reseal(&of, &old, &entropy).unwrap().unwrap();
    assert!(after.reseal(&of, &new, &entropy).unwrap().is_none());
    for sealed in [&old, &new] {
        assert_eq!(before.open_sealed(&of, sealed).unwrap().as_slice(), b"kept");
        assert_eq!(after.open_sealed(&of, sealed).unwrap().as_slice(), b"kept");
    }
    let moved = SealContext { row: b"s", ..of };
    assert!(after.reseal(&moved, &old, &entropy).is_err());
    // Once the old data key is gone, only resealed values can be opened.
    let is_old = |key: &ServerKey| key.purpose == ServerKeyPurpose::Data && key.generation == 1;
    let left: Vec<_> = keys.iter().filter(|key| !is_old(key)).cloned().collect();
    assert!(ring(&left, 60).open_sealed(&of, &old).is_err());
    assert!(ring(&left, 60).open_sealed(&of, &new).is_ok());
    // Where no time has come, the oldest of a purpose serves, whatever the others have.
    assert!(ring(&left, 59).open_sealed(&of, &new).is_ok());
    assert_eq!(format!("{:?}", ring(&left, 60)), "KeyRing");

    let digest = |ring: &KeyRing| ring.digests().digest("x", &[b"y"]).unwrap();
    let lasting = |ring: &KeyRing| ring.lasting_digests().digest("x", &[b"y"]).unwrap();
    assert!(!crate::digests_match(&digest(&before), &digest(&after)));
    assert!(crate::digests_match(&lasting(&before), &lasting(&after)));
    assert!(crate::digests_match(&digest(&before), &lasting(&before)));
}

#[test]
fn sec_135_what_an_old_token_key_signed_ends_but_for_app_tokens() {
    let mut keys = two_generations();
    let (before, after) = (ring(&keys, 59), ring(&keys, 60));
    let app = crate::AppToken { app_id: AppId::NONE, generation: 1, issued_at: at(0) };
    let access = crate::AccessToken {
        app_id: AppId::NONE,
        user_id: latchkey_domain::UserId::from_bytes([2; 16]),
        handle: "ana@example.com".to_owned(),
        epoch: 1,
        id: latchkey_domain::TokenId::from_bytes([3; 16]),
        issued_at: at(0),
        expires_at: at(9_000),
    };
    let of = |ring: &KeyRing| (ring.tokens().sign(&app).unwrap(), ring.tokens().sign(&access).unwrap());
    let (old, new) = (of(&before), of(&after));
    let is_app = |ring: &KeyRing, text: &str| ring.tokens().verify::<crate::AppToken>(text, at(60)).is_ok();
    let is_access =
        |ring: &KeyRing, text: &str| ring.tokens().verify::<crate::AccessToken>(text, at(60)).is_ok();
    assert!(is_app(&after, &old.0) && !is_access(&after, &old.1));
    assert!(is_app(&after, &new.0) && is_access(&after, &new.1));
    assert!(is_app(&before, &new.0) && is_access(&before, &new.1), "another instance is ahead");
    assert!(is_app(&before, &old.0) && is_access(&before, &old.1));
    // App tokens become invalid too if the operator chose so.
    for key in keys.iter_mut().filter(|key| key.generation == 1) {
        key.ends_at = Some(at(60));
    }
    assert!(is_app(&ring(&keys, 59), &old.0) && !is_app(&ring(&keys, 60), &old.0));
    assert!(is_app(&ring(&keys, 60), &new.0));
}

#[test]
fn sec_135_a_ring_says_whether_it_is_still_the_one() {
    let (first, both) = (keys(&master(1)), two_generations());
    assert!(ring(&first, 0).is_of(&first, at(99)));
    assert!(!ring(&first, 0).is_of(&both, at(0)));
    assert!(ring(&both, 0).is_of(&both, at(59)) && !ring(&both, 0).is_of(&both, at(60)));
    assert!(
        ring(&both, 0).is_older_than(&ring(&both, 60)) && !ring(&both, 60).is_older_than(&ring(&both, 60))
    );
    assert!(!ring(&both, 60).is_older_than(&ring(&both, 0)));
    assert!(ring(&first, 0).is_older_than(&ring(&both, 0)), "the next keys are gone");
    assert!(!ring(&both, 0).is_older_than(&ring(&first, 0)));
    // Opened keys need no master key again.
    let later = ring(&both, 0).at(&both, at(60)).unwrap().unwrap();
    assert!(later.is_of(&both, at(60)));
    let digest = |ring: &KeyRing| ring.digests().digest("x", &[b"y"]).unwrap();
    assert!(crate::digests_match(&digest(&later), &digest(&ring(&both, 60))));
    assert!(ring(&both, 0).at(&both[3..], at(60)).unwrap().is_some());
    assert!(ring(&first, 0).at(&both, at(60)).unwrap().is_none());
    // A clock before everything still has keys that serve, and another master key makes none.
    assert!(ring(&both[3..], -5).is_of(&both[3..], at(0)));
    assert!(matches!(
        KeyRing::next(&master(3), &first, at(0), at(60), &SeededEntropy::new(9)),
        Err(KeyRingError::WrongMasterKey { .. })
    ));
}

#[test]
fn sec_135_no_row_changed_by_hand_makes_an_old_key_serve() {
    let keys = two_generations();
    let opens = |change: &dyn Fn(&mut Vec<ServerKey>)| {
        let mut changed = keys.clone();
        change(&mut changed);
        KeyRing::open(&master(1), &changed, at(99)).is_ok()
    };
    assert!(opens(&|_| {}));
    assert!(opens(&|keys| keys.truncate(3)), "all of them are an older copy of the database");
    for newest in 3..6 {
        assert!(!opens(&|keys| drop(keys.remove(newest))), "{newest}");
        assert!(!opens(&|keys| keys[newest].used_from = Some(at(9_999))));
        assert!(!opens(&|keys| keys[newest].used_from = None));
        assert!(!opens(&|keys| keys[newest].generation = 1));
    }
    let as_newest = |used_from| {
        move |keys: &mut Vec<ServerKey>| {
            let (old, new) = (keys[2].clone(), keys[5].clone());
            keys[5] = ServerKey { generation: new.generation, used_from, ..old };
        }
    };
    assert!(!opens(&as_newest(Some(at(60)))) && !opens(&as_newest(None)));
}

#[test]
fn a_wrapped_key_serves_its_own_purpose_only() {
    let mut keys = keys(&master(1));
    keys[0].purpose = ServerKeyPurpose::Digest;
    keys[1].purpose = ServerKeyPurpose::Data;
    assert!(matches!(
        KeyRing::open(&master(1), &keys, OffsetDateTime::UNIX_EPOCH),
        Err(KeyRingError::Crypto(CryptoError::Unsealable))
    ));
    keys.remove(2);
    assert!(KeyRing::open(&master(1), &keys, OffsetDateTime::UNIX_EPOCH).is_err());
}

#[test]
fn sec_002_a_sealed_password_moved_to_another_row_does_not_open() {
    let ring = KeyRing::open(&master(1), &keys(&master(1)), OffsetDateTime::UNIX_EPOCH).unwrap();
    let of =
        |row: &'static [u8]| SealContext { purpose: "password", app_id: AppId::from_bytes([1; 16]), row };
    let sealed = ring.seal(&of(b"a"), b"$argon2id$", &SeededEntropy::new(4)).unwrap();
    assert_eq!(ring.open_sealed(&of(b"a"), &sealed).unwrap().as_slice(), b"$argon2id$");
    assert!(ring.open_sealed(&of(b"b"), &sealed).is_err());
}
