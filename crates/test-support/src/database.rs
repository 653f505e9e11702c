//! Temporary databases: a file in a temporary folder, or a PostgreSQL database that is copied from a
//! migrated template and dropped again. The server is the one that `cargo xtask test` starts.

use std::sync::atomic::{AtomicU64, Ordering};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, RunQueryDsl as _};
use latchkey_storage::Store;
use latchkey_storage::diesel::{Database, DatabaseLocation, DatabaseSettings};
use tempfile::TempDir;

const SERVER: &str = "LATCHKEY_TEST_POSTGRES";

/// What is unusual about a PostgreSQL database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Nothing.
    Plain,
    /// Every transaction is serializable, and every tenth write fails with 40001 and 40P01 by turns.
    Faulty,
    /// The tables that belong to applications are spread over partitions by application.
    Partitioned,
}

/// A database of a test's own, gone when it is dropped.
pub struct TestDatabase {
    store: Store,
    location: DatabaseLocation,
    place: Place,
}

enum Place {
    Folder(#[expect(dead_code, reason = "removes the folder when it is dropped")] TempDir),
    Server { name: String },
}

impl TestDatabase {
    /// A fresh SQLite file.
    #[must_use]
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let location = DatabaseLocation::File(folder.path().join("latchkey.db"));
        Database::migrate(&location).expect("migrations apply");
        let store = Database::open(&location, &DatabaseSettings::default()).expect("the file opens");
        Self { store, location, place: Place::Folder(folder) }
    }

    /// A fresh PostgreSQL database.
    #[must_use]
    pub fn postgres() -> Self {
        Self::of(Variant::Plain)
    }

    /// A fresh PostgreSQL database that loses races and deadlocks on purpose.
    #[must_use]
    pub fn postgres_faulty() -> Self {
        Self::of(Variant::Faulty)
    }

    /// A fresh PostgreSQL database whose tables are spread by application.
    #[must_use]
    pub fn postgres_partitioned() -> Self {
        Self::of(Variant::Partitioned)
    }

    fn of(variant: Variant) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let server = server();
        let template = template(&server, variant);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let mut admin = connect(&format!("{server}&dbname=postgres"));
        run(
            &mut admin,
            &format!(
                "DROP DATABASE IF EXISTS {name} WITH (FORCE); CREATE DATABASE {name} TEMPLATE {template}"
            ),
        );
        if variant == Variant::Faulty {
            run(
                &mut admin,
                &format!("ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"),
            );
        }
        let location = DatabaseLocation::Server(format!("{server}&dbname={name}"));
        let store = Database::open(&location, &DatabaseSettings::default()).expect("the database opens");
        Self { store, location, place: Place::Server { name } }
    }

    /// The database as a store.
    #[must_use]
    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> &DatabaseLocation {
        &self.location
    }

    /// An SQL connection to it, if it is on PostgreSQL.
    #[must_use]
    pub fn sql(&self) -> Option<PgConnection> {
        match &self.location {
            DatabaseLocation::File(_) => None,
            DatabaseLocation::Server(url) => Some(connect(url)),
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Place::Server { name } = &self.place {
            let mut admin = connect(&format!("{}&dbname=postgres", server()));
            run(&mut admin, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

fn server() -> String {
    std::env::var(SERVER).unwrap_or_else(|_| {
        panic!("{SERVER} is not set: run `cargo xtask test`, which starts a temporary PostgreSQL (or add --sqlite)")
    })
}

fn connect(url: &str) -> PgConnection {
    PgConnection::establish(url).expect("the temporary PostgreSQL answers")
}

fn run(connection: &mut PgConnection, statements: &str) {
    // One by one: CREATE DATABASE runs in no transaction, which several statements at once would be.
    for statement in statements.split("; ") {
        connection.batch_execute(statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

#[derive(diesel::QueryableByName)]
struct Exists {
    #[diesel(sql_type = diesel::sql_types::Bool)]
    found: bool,
}

/// The name of a migrated database to copy from, made by whichever test process comes first.
fn template(server: &str, variant: Variant) -> String {
    let name = format!("template_{variant:?}").to_lowercase();
    let mut admin = connect(&format!("{server}&dbname=postgres"));
    admin.batch_execute("SELECT pg_advisory_lock(1)").expect("a lock");
    let sql = format!("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = '{name}') AS found");
    let exists: Exists = diesel::sql_query(sql).get_result(&mut admin).expect("an answer");
    if !exists.found {
        let raw = format!("{name}_raw");
        run(&mut admin, &format!("DROP DATABASE IF EXISTS {raw} WITH (FORCE); CREATE DATABASE {raw}"));
        let url = format!("{server}&dbname={raw}");
        Database::migrate(&DatabaseLocation::Server(url.clone())).expect("migrations apply");
        let mut connection = connect(&url);
        match variant {
            Variant::Plain => {}
            Variant::Faulty => connection.batch_execute(include_str!("faulty.sql")).expect("triggers"),
            Variant::Partitioned => {
                connection.batch_execute(include_str!("partitioned.sql")).expect("partitions")
            }
        }
        drop(connection);
        run(&mut admin, &format!("ALTER DATABASE {raw} RENAME TO {name}"));
    }
    admin.batch_execute("SELECT pg_advisory_unlock(1)").expect("the lock is given back");
    name
}
