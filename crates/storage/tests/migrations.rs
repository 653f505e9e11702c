//! Migrations go up, down and up again; both databases end with the same columns; the rules that keep a
//! schema shardable hold.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests: a failure is a panic")]

use std::collections::BTreeSet;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use latchkey_storage::StorageError;
use latchkey_storage::diesel::{Database, DatabaseLocation, DatabaseSettings};
use latchkey_test_support::TestDatabase;

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

fn lines(connection: &mut PgConnection, sql: &str) -> BTreeSet<String> {
    diesel::sql_query(sql).load::<Line>(connection).unwrap().into_iter().map(|row| row.line).collect()
}

fn up_down_up(location: &DatabaseLocation) {
    let mut reverted = Vec::new();
    while let Ok(version) = Database::revert_last_migration(location) {
        reverted.push(version);
    }
    assert!(!reverted.is_empty());
    assert_eq!(Database::pending_migrations(location).unwrap().len(), reverted.len());
    assert_eq!(Database::migrate(location).unwrap(), reverted.len());
    assert_eq!(Database::migrate(location).unwrap(), 0);
}

#[test]
fn sqlite_goes_up_down_and_up() {
    up_down_up(TestDatabase::sqlite().location());
}

#[test]
fn postgres_goes_up_down_and_up() {
    up_down_up(TestDatabase::postgres().location());
}

fn sqlite_connection(database: &TestDatabase) -> SqliteConnection {
    match database.location() {
        DatabaseLocation::File(path) => SqliteConnection::establish(path.to_str().unwrap()).unwrap(),
        DatabaseLocation::Server(_) => panic!("a file"),
    }
}

#[test]
fn postgres_and_sqlite_have_the_same_columns() {
    let (file, server) = (TestDatabase::sqlite(), TestDatabase::postgres());
    let of_sqlite: BTreeSet<String> = diesel::sql_query(
        "SELECT m.name || '.' || c.name || ' ' || CASE c.\"notnull\" OR c.pk > 0 WHEN 1 THEN 'required' ELSE 'optional' END AS line
         FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE '!_!_%' ESCAPE '!'",
    )
    .load::<Line>(&mut sqlite_connection(&file))
    .unwrap()
    .into_iter()
    .map(|row| row.line)
    .collect();
    let of_postgres = lines(
        &mut server.sql().unwrap(),
        "SELECT table_name || '.' || column_name || ' ' || CASE is_nullable WHEN 'NO' THEN 'required' ELSE 'optional' END AS line
         FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_%'",
    );
    assert_eq!(of_sqlite, of_postgres);
    assert!(of_sqlite.len() > 60);
}

/// What a database answers that was migrated to a version this build does not know.
fn refusal_of(version: &str) -> StorageError {
    let database = TestDatabase::sqlite();
    sqlite_connection(&database)
        .batch_execute(&format!("INSERT INTO __diesel_schema_migrations (version) VALUES ('{version}')"))
        .unwrap();
    let error = Database::migrate(database.location()).unwrap_err();
    assert_eq!(Database::pending_migrations(database.location()).unwrap_err().to_string(), error.to_string());
    error
}

#[test]
fn a_newer_schema_and_an_earlier_one_are_refused_by_name() {
    let error = refusal_of("29990101000000");
    assert!(matches!(&error, StorageError::NewerSchema(version) if version == "29990101000000"), "{error}");
    let error = refusal_of("20261129000040");
    assert!(matches!(&error, StorageError::EarlierSchema(version) if version == "20261129000040"), "{error}");
}

#[test]
fn postgres_keeps_the_rules_that_make_a_schema_shardable() {
    let database = TestDatabase::postgres();
    let mut sql = database.sql().unwrap();
    // Every key and unique index of an application's table begins with app_id.
    let keys = lines(
        &mut sql,
        "SELECT c.relname || ' (' || a.attname || ')' AS line FROM pg_index i
         JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
         WHERE i.indisunique AND n.nspname = 'public' AND c.relname NOT LIKE '\\_\\_%'
         AND EXISTS (SELECT 1 FROM pg_attribute x WHERE x.attrelid = c.oid AND x.attname = 'app_id')
         AND a.attname <> 'app_id'",
    );
    assert_eq!(keys, BTreeSet::new());
    // Indexed text has the collation that does not depend on the operating system.
    let texts = lines(
        &mut sql,
        "SELECT c.relname || '.' || a.attname AS line FROM pg_index i
         JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
         JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_collation l ON l.oid = a.attcollation
         WHERE n.nspname = 'public' AND c.relname NOT LIKE '\\_\\_%' AND t.typname = 'text' AND l.collname <> 'C'",
    );
    assert_eq!(texts, BTreeSet::new());
    // Nothing is made up by the database.
    let defaults = lines(
        &mut sql,
        "SELECT table_name || '.' || column_name AS line FROM information_schema.columns
         WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_%' AND (column_default IS NOT NULL OR is_identity = 'YES')
         UNION SELECT 'sequence ' || sequence_name FROM information_schema.sequences WHERE sequence_schema = 'public'
         UNION SELECT 'trigger ' || trigger_name FROM information_schema.triggers WHERE trigger_schema = 'public'",
    );
    assert_eq!(defaults, BTreeSet::new());
    // Foreign keys lead to reference tables only.
    let references = lines(
        &mut sql,
        "SELECT DISTINCT c.confrelid::regclass::text AS line FROM pg_constraint c WHERE c.contype = 'f'",
    );
    assert_eq!(references, ["apps", "developers"].map(str::to_owned).into());
}

#[test]
fn postgres_is_migrated_once_by_many_instances_at_once() {
    let database = TestDatabase::postgres();
    let location = database.location();
    let mut reverted = 0;
    while Database::revert_last_migration(location).is_ok() {
        reverted += 1;
    }
    let applied: usize = std::thread::scope(|scope| {
        let instances: Vec<_> =
            (0..4).map(|_| scope.spawn(|| Database::migrate(location).unwrap())).collect();
        instances.into_iter().map(|instance| instance.join().unwrap()).sum()
    });
    assert_eq!(applied, reverted);
}

#[test]
fn what_is_away_is_named_as_such() {
    let missing = DatabaseLocation::File("/nonexistent/folder/latchkey.db".into());
    let nowhere = DatabaseLocation::Server("postgres://nobody@127.0.0.1:1/none?connect_timeout=1".to_owned());
    for location in [missing, nowhere] {
        let error = Database::open(&location, &DatabaseSettings::default()).unwrap_err();
        assert!(matches!(error, StorageError::Unavailable(_)), "{error}");
    }
}
