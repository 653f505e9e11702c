//! What SQLite alone must show: a commit that fails answers nobody with success, and what is deleted is gone.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests: a failure is a panic")]

use diesel::prelude::*;
use diesel::sql_types::Text;
use latchkey_domain::{AppId, Channel, KeyedDigest, MessageId, MessageState, OutboxMessage, Sealed};
use latchkey_storage::diesel::DatabaseLocation;
use latchkey_storage::{QuotaKey, StorageError};
use latchkey_test_support::TestDatabase;

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

fn connection(database: &TestDatabase) -> SqliteConnection {
    match database.location() {
        DatabaseLocation::File(path) => SqliteConnection::establish(path.to_str().unwrap()).unwrap(),
        DatabaseLocation::Server(_) => panic!("a file"),
    }
}

fn key(number: u32) -> QuotaKey {
    let mut subject = [0; 32];
    subject[..4].copy_from_slice(&number.to_be_bytes());
    QuotaKey {
        app_id: AppId::from_bytes([0; 16]),
        kind: "test",
        subject: KeyedDigest::from_bytes(subject),
        period: 0,
        expires_at: time::OffsetDateTime::UNIX_EPOCH,
    }
}

/// A trigger stands in for a full disk: it fails the COMMIT itself through a deferred constraint.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_units_whose_commit_fails_are_not_answered_with_success() {
    let database = TestDatabase::sqlite();
    {
        use diesel::connection::SimpleConnection as _;
        connection(&database)
            .batch_execute(
                "CREATE TABLE parents (id INTEGER PRIMARY KEY);
                 CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED);
                 CREATE TRIGGER fails AFTER INSERT ON quotas WHEN new.kind = 'test' AND substr(hex(new.subject), 8, 1) = '7'
                 BEGIN INSERT INTO children VALUES (99); END;",
            )
            .unwrap();
    }
    let store = database.store();
    let units: Vec<_> = (0..200)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let result: Result<bool, StorageError> =
                    store.transact("test", move |repos| repos.quotas().reserve(&key(number), 1)).await;
                (number, result)
            })
        })
        .collect();
    let mut kept = 0;
    for unit in units {
        let (number, result) = unit.await.unwrap();
        let poisoned = number % 16 == 7;
        assert_eq!(result.is_err(), poisoned, "{number}: {result:?}");
        kept += usize::from(!poisoned);
    }
    let stored: Vec<Line> = diesel::sql_query("SELECT hex(subject) AS line FROM quotas")
        .load(&mut connection(&database))
        .unwrap();
    assert_eq!(stored.len(), kept);
    assert!(stored.iter().all(|row| &row.line[7..8] != "7"));
}

#[test]
fn sqlite_connections_that_lose_their_log_are_refused() {
    // A database in memory has no write-ahead log: the pragma is ignored, and that is noticed.
    let location = DatabaseLocation::File(":memory:".into());
    let error = latchkey_storage::diesel::Database::open(&location, &Default::default()).unwrap_err();
    assert!(error.to_string().contains("write-ahead log"), "{error}");
}

/// What was deleted is overwritten, not only forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_keeps_nothing_of_what_was_deleted() {
    let database = TestDatabase::sqlite();
    let store = database.store();
    let (marker, recipient) = (*b"a mark that stands nowhere else", KeyedDigest::from_bytes([7; 32]));
    let messages: Vec<_> = (1..=20).map(|number| message(number, &marker, &recipient)).collect();
    let added = store
        .transact("test", move |repos| messages.iter().try_for_each(|message| repos.outbox().add(message)));
    added.await.unwrap();
    assert!(holds(&database, &marker), "it was stored");
    let removed: Result<(), StorageError> = store
        .transact("test", move |repos| repos.outbox().remove_of(AppId::from_bytes([1; 16]), &recipient))
        .await;
    removed.unwrap();
    assert!(!holds(&database, &marker));
}

fn message(number: u8, payload: &[u8], recipient: &KeyedDigest) -> OutboxMessage {
    OutboxMessage {
        app_id: AppId::from_bytes([1; 16]),
        id: MessageId::from_bytes([number; 16]),
        channel: Channel::Mail,
        recipient: Some(recipient.clone()),
        payload: Sealed::from_bytes(payload.to_vec()),
        attempts: 0,
        due_at: time::OffsetDateTime::UNIX_EPOCH,
        expires_at: None,
        state: MessageState::Due,
        last_error: None,
        created_at: time::OffsetDateTime::UNIX_EPOCH,
    }
}

/// Whether the database's file holds these bytes, once all that was written is in it.
fn holds(database: &TestDatabase, bytes: &[u8]) -> bool {
    use diesel::connection::SimpleConnection as _;
    connection(database).batch_execute("PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    let DatabaseLocation::File(path) = database.location() else { panic!("a file") };
    std::fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes)
}
