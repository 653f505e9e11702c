//! Published vectors, bounds, and the agreement of the two engines.

use proptest::prelude::*;

use super::*;

const MD5_OF_PASSWORD123: &str = "482c811da5d5b4bc6d497ffa98491e38";

fn hasher(engine: Engine) -> PasswordHasher {
    PasswordHasher::new(engine, HashCost::LEAST).unwrap()
}

fn password(text: &str) -> ClientPassword {
    ClientPassword::parse(text).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn rfc_9106_section_5_3_argon2id_vector() {
    let params = argon2::ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .data(argon2::AssociatedData::new(&[4; 12]).unwrap())
        .clone()
        .build()
        .unwrap();
    let context =
        argon2::Argon2::new_with_secret(&[3; 8], argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
            .unwrap();
    let mut output = [0; 32];
    context.hash_password_into(&[1; 32], &[2; 16], &mut output).unwrap();
    assert_eq!(hex(&output), "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
}

#[test]
fn sec_001_new_hashes_are_argon2id_at_the_least_cost_or_above() {
    for (memory, passes) in [(8_192, 2), (19_455, 2), (19_456, 1), (0, 0), (262_145, 2), (19_456, 11)] {
        assert!(HashCost::new(memory, passes).is_err(), "{memory} {passes}");
    }
    assert_eq!(HashCost::new(19_456, 2).unwrap(), HashCost::default());
    for engine in [Engine::Argon2, Engine::Sodium] {
        let phc = hasher(engine).hash(&password(MD5_OF_PASSWORD123), b"0123456789abcdef").unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$"), "{engine:?}");
        let Phc::Argon2id { salt, output, .. } = Phc::parse(&phc).unwrap() else { panic!("argon2id") };
        assert_eq!((salt.len(), output.len()), (16, 32));
    }
}

/// Computed by the C implementation of argon2's authors, through another language's binding.
#[test]
fn a_hash_made_elsewhere_verifies_on_both_engines() {
    let elsewhere = include_str!("vector.txt").trim();
    for engine in [Engine::Argon2, Engine::Sodium] {
        let hasher = hasher(engine);
        assert_eq!(hasher.verify(&password(MD5_OF_PASSWORD123), elsewhere).unwrap(), Verdict::Right);
        assert_eq!(hasher.verify(&password(&"0".repeat(32)), elsewhere).unwrap(), Verdict::Wrong);
        let made = hasher.hash(&password(MD5_OF_PASSWORD123), b"0123456789abcdef").unwrap();
        assert_eq!(made.as_str(), elsewhere);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn the_two_engines_agree(text in "[0-9a-f]{32}", salt in any::<[u8; 16]>(), memory in 8_u32..64, passes in 1_u32..4) {
        let mut one = [0; 32];
        let mut two = [0; 32];
        Engine::Argon2.argon2id(text.as_bytes(), &salt, memory, passes, 1, &mut one).unwrap();
        Engine::Sodium.argon2id(text.as_bytes(), &salt, memory, passes, 1, &mut two).unwrap();
        prop_assert_eq!(one, two);
    }

    #[test]
    fn sec_005_the_plain_field_and_the_md5_field_are_one_password(text in "\\PC{1,40}") {
        let hasher = hasher(Engine::Sodium);
        let raw = RawPassword::parse(&text).unwrap();
        let md5 = |text: &str| -> String { Md5::digest(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect() };
        let client = client_password(&raw).unwrap();
        let stored = hasher.hash(&client, &[5; 16]).unwrap();
        let normalized = raw.normalized().unwrap_or(raw);
        prop_assert_eq!(hasher.verify(&password(&md5(normalized.expose())), &stored).unwrap(), Verdict::Right);
        // The value that an SDK sends for a text that is not normalized.
        prop_assert_eq!(client.as_typed().unwrap_or(&client).expose(), md5(&text));
    }

    #[test]
    fn nonsense_is_refused_without_a_panic(text in "\\PC{0,80}") {
        prop_assert!(Phc::parse(&text).is_err());
        let prefixed = format!("$argon2id$v=19${text}");
        prop_assert!(Phc::parse(&prefixed).is_err());
    }
}

#[test]
fn the_md5_of_a_known_password() {
    let raw = RawPassword::parse("password123").unwrap();
    assert_eq!(client_password(&raw).unwrap().expose(), MD5_OF_PASSWORD123);
}

#[test]
fn imported_bcrypt_verifies_and_asks_to_be_replaced() {
    let stored = bcrypt::hash(MD5_OF_PASSWORD123, 4).unwrap();
    let hasher = hasher(Engine::Sodium);
    assert_eq!(hasher.verify(&password(MD5_OF_PASSWORD123), &stored).unwrap(), Verdict::RightButOutdated);
    assert_eq!(hasher.verify(&password(&"0".repeat(32)), &stored).unwrap(), Verdict::Wrong);
    let weaker = "$argon2id$v=19$m=32,t=1,p=2$c29tZXNhbHQxMjM0$";
    let mut output = [0; 32];
    Engine::Argon2.argon2id(MD5_OF_PASSWORD123.as_bytes(), b"somesalt1234", 32, 1, 2, &mut output).unwrap();
    let stored = format!("{weaker}{}", STANDARD_NO_PAD.encode(output));
    assert_eq!(hasher.verify(&password(MD5_OF_PASSWORD123), &stored).unwrap(), Verdict::RightButOutdated);
}

#[test]
fn sec_003_hashes_that_cost_too_much_are_refused_before_any_work() {
    let salt_and_output = "c29tZXNhbHQxMjM0NTY3OA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let rest = "a".repeat(53);
    for stored in [
        format!("$argon2id$v=19$m=4194304,t=2,p=1${salt_and_output}"),
        format!("$argon2id$v=19$m=19456,t=11,p=1${salt_and_output}"),
        format!("$argon2id$v=19$m=19456,t=2,p=9${salt_and_output}"),
        format!("$argon2id$v=19$m=4,t=2,p=1${salt_and_output}"),
        format!("$argon2id$v=16$m=19456,t=2,p=1${salt_and_output}"),
        format!("$argon2i$v=19$m=19456,t=2,p=1${salt_and_output}"),
        format!("$argon2id$v=19$m=+19456,t=2,p=1${salt_and_output}"),
        format!("$argon2id$v=19$m=19456,t=2,p=1,x=1${salt_and_output}"),
        format!("$2b$31${rest}"),
        format!("$2b$15${rest}"),
        format!("$2b$03${rest}"),
        format!("$2x$10${rest}"),
        "$1$abc$def".to_owned(),
        String::new(),
        "a".repeat(513),
    ] {
        // Parsing alone decides: no memory is allocated, no round is run.
        assert!(Phc::parse(&stored).is_err(), "{stored}");
        let verdict = hasher(Engine::Sodium).verify(&password(MD5_OF_PASSWORD123), &stored);
        assert!(matches!(verdict, Err(CryptoError::Hash(_))), "{stored}");
    }
}

#[test]
fn sec_003_what_costs_more_than_five_of_our_hashes_is_not_imported() {
    let salt_and_output = "c29tZXNhbHQxMjM0NTY3OA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let argon = |memory: u32, passes: u32, lanes: u32| {
        format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt_and_output}")
    };
    let bcrypt = |cost: u32| format!("$2b${cost:02}${}", "a".repeat(21) + "O" + &"a".repeat(30) + "O");
    let hasher = hasher(Engine::Sodium);
    for (stored, in_own_hashes, is_importable) in [
        (argon(19_456, 2, 1), 1, true),
        (argon(8, 1, 1), 1, true),
        (argon(19_456, 10, 8), 5, true),
        (argon(97_280, 2, 1), 5, true),
        (argon(97_281, 2, 1), 6, false),
        (argon(262_144, 10, 1), 68, false),
        (bcrypt(4), 1, true),
        (bcrypt(10), 6, true),
        (bcrypt(12), 22, true),
        (bcrypt(13), 43, false),
        (bcrypt(14), 85, false),
    ] {
        let cost = StoredCost { in_own_hashes, is_importable };
        assert_eq!(hasher.stored_cost(&stored).unwrap(), cost, "{stored}");
        assert_eq!(hasher.stored_cost(&format!("{OVER_RAW}{stored}")).unwrap(), cost);
    }
    // The bound is that of the server's own hash.
    let stronger = PasswordHasher::new(Engine::Sodium, HashCost::new(65_536, 3).unwrap()).unwrap();
    assert!(stronger.stored_cost(&argon(262_144, 3, 1)).unwrap().is_importable);
    assert!(!stronger.stored_cost(&bcrypt(13)).unwrap().is_importable);
    hasher.verify_costliest().unwrap();
}

#[test]
fn nobody_has_no_password() {
    let hasher = hasher(Engine::Sodium);
    hasher.verify_nobody(&password(MD5_OF_PASSWORD123)).unwrap();
    assert_eq!(hasher.verify(&password(MD5_OF_PASSWORD123), &hasher.nobody).unwrap(), Verdict::Wrong);
}

#[test]
fn a_hash_over_the_password_itself_needs_the_password_itself() {
    let hasher = PasswordHasher::new(Engine::default(), HashCost::default()).unwrap();
    let raw = RawPassword::parse("password123").unwrap();
    let stored = format!("{OVER_RAW}{}", bcrypt::hash("password123", 4).unwrap());
    let with_raw = client_password(&raw).unwrap();
    assert_eq!(hasher.verify(&with_raw, &stored).unwrap(), Verdict::RightButOutdated);
    let digits_alone = ClientPassword::parse(with_raw.expose()).unwrap();
    assert_eq!(hasher.verify(&digits_alone, &stored).unwrap(), Verdict::Wrong);
    let other = client_password(&RawPassword::parse("password124").unwrap()).unwrap();
    assert_eq!(hasher.verify(&other, &stored).unwrap(), Verdict::Wrong);
    // The digits are not the password: a hash of one never matches the other.
    let over_digits = format!("{OVER_RAW}{}", bcrypt::hash(with_raw.expose(), 4).unwrap());
    assert_eq!(hasher.verify(&with_raw, &over_digits).unwrap(), Verdict::Wrong);
}

#[test]
fn sec_004_what_bcrypt_may_have_cut_takes_the_place_of_nothing() {
    let hasher = PasswordHasher::new(Engine::default(), HashCost::default()).unwrap();
    let long = "x".repeat(80);
    let of_long = format!("{OVER_RAW}{}", bcrypt::hash(&long, 4).unwrap());
    let verdict = |typed: &str, stored: &str| {
        let typed = client_password(&RawPassword::parse(typed).unwrap()).unwrap();
        hasher.verify(&typed, stored).unwrap()
    };
    for bytes in [72, 73, 80, 90] {
        assert_eq!(verdict(&"x".repeat(bytes), &of_long), Verdict::Right, "{bytes}");
    }
    assert_eq!(verdict(&long[..71], &of_long), Verdict::Wrong);
    let of_71 = format!("{OVER_RAW}{}", bcrypt::hash(&long[..71], 4).unwrap());
    assert_eq!(verdict(&long[..71], &of_71), Verdict::RightButOutdated);
    // argon2id cuts nothing.
    let whole = hasher.hash_text(&long, &[1; 16]).unwrap();
    assert_eq!(verdict(&long, &format!("{OVER_RAW}{}", *whole)), Verdict::RightButOutdated);
}

#[test]
fn sec_003_a_digest_that_would_cost_too_much_is_refused_by_looking_at_it() {
    let salt = "c2FsdHNhbHQ";
    let output = "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY";
    for good in [bcrypt::hash("x", 4).unwrap(), format!("$argon2id$v=19$m=262144,t=10,p=8${salt}${output}")] {
        hasher(Engine::Sodium).stored_cost(&good).unwrap();
    }
    for bad in [
        "$2b$31$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned(),
        "$2b$03$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned(),
        format!("$argon2id$v=19$m=4194304,t=1,p=1${salt}${output}"),
        format!("$argon2id$v=19$m=65536,t=11,p=1${salt}${output}"),
        format!("$argon2id$v=19$m=65536,t=1,p=9${salt}${output}"),
        format!("$argon2i$v=19$m=65536,t=1,p=1${salt}${output}"),
        "5f4dcc3b5aa765d61d8327deb882cf99".to_owned(),
        "x".repeat(10_000),
        String::new(),
    ] {
        let hasher = hasher(Engine::Sodium);
        assert!(hasher.stored_cost(&bad).is_err(), "{bad}");
        let password = ClientPassword::parse("5f4dcc3b5aa765d61d8327deb882cf99").unwrap();
        assert!(hasher.verify(&password, &bad).is_err(), "{bad}");
        assert!(hasher.verify(&password, &format!("{OVER_RAW}{bad}")).is_err(), "{bad}");
    }
}

#[test]
fn sec_003_the_costliest_import_is_bcrypt_unless_our_own_hashes_cost_more() {
    let costliest = |memory_kib, passes| {
        PasswordHasher {
            engine: Engine::Argon2,
            cost: HashCost { memory_kib, passes },
            nobody: String::new(),
        }
        .costliest()
    };
    // 4,096 rounds of bcrypt are as much work as 819,200 KiB of one pass.
    assert_eq!(costliest(19_456, 2), Costliest::Bcrypt);
    assert_eq!(costliest(81_919, 2), Costliest::Bcrypt);
    assert_eq!(costliest(81_920, 2), Costliest::Argon2id { passes: 10 });
    assert_eq!(costliest(262_144, 3), Costliest::Argon2id { passes: 15 });
}

#[test]
fn sec_003_each_bound_of_a_stored_hash_counts_by_itself() {
    let (salt, output) =
        (|bytes| STANDARD_NO_PAD.encode(vec![1; bytes]), |bytes| STANDARD_NO_PAD.encode(vec![2; bytes]));
    let argon = |cost: &str, salt: &str, output: &str| {
        Phc::parse(&format!("$argon2id$v=19${cost}${salt}${output}")).is_ok()
    };
    for (cost, is_taken) in [
        ("m=64,t=1,p=8", true),
        ("m=63,t=1,p=8", false),
        ("m=64,t=10,p=8", true),
        ("m=64,t=11,p=8", false),
        ("m=64,t=0,p=8", false),
        ("m=80,t=1,p=9", false),
        ("m=64,t=1,p=0", false),
        ("m=262144,t=1,p=1", true),
        ("m=262145,t=1,p=1", false),
        ("m=+64,t=1,p=1", false),
        ("m=64,t=1", false),
        ("m=64,t=1,p=1,x=1", false),
    ] {
        assert_eq!(argon(cost, &salt(16), &output(32)), is_taken, "{cost}");
    }
    for (salt_bytes, output_bytes, is_taken) in
        [(8, 16, true), (64, 64, true), (7, 16, false), (8, 15, false), (65, 64, false), (64, 65, false)]
    {
        assert_eq!(argon("m=64,t=1,p=1", &salt(salt_bytes), &output(output_bytes)), is_taken);
    }
    let good = bcrypt::hash("x", 4).unwrap();
    let (head, tail) = good.split_at(29);
    for (hash, is_taken) in [
        (good.clone(), true),
        (good.replacen("$04$", "$+5$", 1), false),
        (good.replacen("$04$", "$4$", 1), false),
        (good.replacen("$04$", "$005$", 1), false),
        // One character more, in an alphabet in which it could be decoded.
        (format!("{good}."), false),
        (format!("{}!{tail}", &head[..28]), false),
        (format!("{head}!{}", &tail[1..]), false),
        (format!("{good}$"), false),
    ] {
        assert_eq!(Phc::parse(&hash).is_ok(), is_taken, "{hash}");
    }
    let refusal = |length: usize| Phc::parse(&"x".repeat(length)).unwrap_err().to_string();
    assert!(refusal(513).contains("longer than 512 bytes") && !refusal(512).contains("longer"));
}

#[test]
fn the_fast_engine_leaves_what_it_does_not_know_to_the_other() {
    for (salt, lanes) in [(&[1; 16][..], 2), (&[1; 8], 1), (&[1; 24], 2), (&[1; 16], 1)] {
        let of = |engine: Engine| {
            let mut output = [0; 32];
            engine.argon2id(b"password", salt, 64, 2, lanes, &mut output).unwrap();
            output
        };
        assert_eq!(of(Engine::Sodium), of(Engine::Argon2), "{} {lanes}", salt.len());
    }
}
