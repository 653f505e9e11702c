//! Rows that somebody wrote into the database by hand and that nobody can read.
#![expect(clippy::unwrap_used, reason = "tests: a failure is a panic")]

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use latchkey_domain::Channel;
use latchkey_storage::StorageError;
use latchkey_storage::diesel::DatabaseLocation;
use latchkey_test_support::TestDatabase;
use time::{Duration, OffsetDateTime};

/// The message of one application cannot be read; that of another one comes.
async fn passes_over(database: &TestDatabase) {
    let good = "01".repeat(16);
    let rows = [("02".repeat(16), "030303"), (good.clone(), good.as_str())].map(|(app_id, id)| {
        let blob = |hex: &str| match database.location() {
            DatabaseLocation::File(_) => format!("x'{hex}'"),
            DatabaseLocation::Server(_) => format!("'\\x{hex}'"),
        };
        let (app_id, id, payload) = (blob(&app_id), blob(id), blob("00"));
        format!(
            "INSERT INTO outbox (app_id, id, channel, payload, attempts, due_at, state, created_at) VALUES
             ({app_id}, {id}, 'mail', {payload}, 0, '2000-01-01 00:00:00', 'due', '2000-01-01 00:00:00');"
        )
    });
    match database.location() {
        DatabaseLocation::File(path) => {
            SqliteConnection::establish(path.to_str().unwrap())
                .unwrap()
                .batch_execute(&rows.concat())
                .unwrap();
        }
        DatabaseLocation::Server(_) => database.sql().unwrap().batch_execute(&rows.concat()).unwrap(),
    }
    let now = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
    let due = database
        .store()
        .read("test", move |readers| {
            let due = readers.outbox().list_due(Channel::Mail, (now, Duration::hours(1)), None, 10)?;
            Ok::<_, StorageError>(due)
        })
        .await
        .unwrap();
    let ids: Vec<_> = due.iter().map(|message| *message.id.as_bytes()).collect();
    assert_eq!(ids, [[1; 16]]);
}

#[tokio::test]
async fn sec_136_a_message_that_cannot_be_read_keeps_no_other_waiting_on_sqlite() {
    passes_over(&TestDatabase::sqlite()).await;
}

#[tokio::test]
async fn sec_136_a_message_that_cannot_be_read_keeps_no_other_waiting_on_postgres() {
    passes_over(&TestDatabase::postgres()).await;
}
