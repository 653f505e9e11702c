//! `keys rotate-master`: under load, killed in the middle, repeated. Afterwards the old key opens nothing, and
//! everything that was sealed, digested or signed before is still good. And `keys rotate-server`, the same way: afterwards
//! nothing is sealed with the old keys, everybody can log in, and what the old token key signed has ended.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection};
use latchkey_tests::{Place, Server, app_token_in};

#[derive(diesel::QueryableByName)]
struct Wrapped {
    #[diesel(sql_type = diesel::sql_types::Binary)]
    wrapped: Vec<u8>,
}

const WRAPPED: &str = "SELECT wrapped FROM server_keys ORDER BY purpose, generation";

/// What a query finds in the place's database, whichever it is.
fn rows<T>(place: &Place, query: &str) -> Vec<T>
where
    T: diesel::QueryableByName<diesel::sqlite::Sqlite> + diesel::QueryableByName<diesel::pg::Pg> + 'static,
{
    if let Some(database) = place.database() {
        return diesel::sql_query(query).load(&mut database.sql().unwrap()).unwrap();
    }
    let path = place.data().join("latchkey.db");
    let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    let _ = diesel::sql_query("PRAGMA busy_timeout = 5000").execute(&mut connection);
    diesel::sql_query(query).load(&mut connection).unwrap()
}

fn wrapped(place: &Place) -> Vec<Vec<u8>> {
    rows::<Wrapped>(place, WRAPPED).into_iter().map(|row| row.wrapped).collect()
}

fn kill(pid: u32) {
    let _ = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status();
}

/// Signs people up, until the server is gone. Gives those whom it has answered.
async fn load(server: Arc<Server>, token: String, round: usize) -> Vec<String> {
    let mut made = Vec::new();
    for number in 0..40 {
        let handle = format!("r{round}n{number}@example.com");
        match server.sign_up(&token, &handle).await {
            Some((status, _)) if status == 200 => made.push(handle),
            Some(_) => {}
            None => break,
        }
    }
    made
}

/// The files of the data folder hold none of these bytes.
fn hold_none(folder: &Path, blobs: &[Vec<u8>]) {
    for file in std::fs::read_dir(folder).unwrap().flatten().filter(|file| file.path().is_file()) {
        let bytes = std::fs::read(file.path()).unwrap();
        for blob in blobs {
            let is_there = bytes.windows(blob.len()).any(|window| window == blob.as_slice());
            assert!(!is_there, "{} still holds a key under the old master key", file.path().display());
        }
    }
}

async fn rotates(place: Place) {
    let token = app_token_in(&place.printed(&["app", "create", "Shop", "--signup-flow", "none"]));
    let secret = place.printed(&["token", "server"]);
    let first_key = std::fs::read_to_string(place.data().join("master.key")).unwrap();
    let before = wrapped(&place);

    // Kill the server, or the command, at moments that are further and further in.
    for round in 0..6 {
        let mut server = Arc::new(place.start());
        let under_load = tokio::spawn(load(Arc::clone(&server), token.clone(), round));
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut command = place.command(&["keys", "rotate-master"]).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(u64::try_from(round).unwrap() * 12)).await;
        if round % 2 == 0 {
            kill(server.pid());
        } else {
            kill(command.id());
        }
        let _ = command.wait();
        if round % 2 == 0 {
            let _ = under_load.await;
            Arc::get_mut(&mut server).unwrap().kill();
        } else {
            under_load.await.unwrap();
            Arc::get_mut(&mut server).unwrap().terminate();
        }
    }

    // Once more, to its end, while the server is under load.
    let mut server = Arc::new(place.start());
    let under_load = tokio::spawn(load(Arc::clone(&server), token.clone(), 9));
    let told = place.printed(&["keys", "rotate-master"]);
    assert!(told.contains("The master key is now"), "{told}");
    under_load.await.unwrap();
    for number in 0..40 {
        let (status, answer) = server.log_in(&token, &format!("r9n{number}@example.com")).await.unwrap();
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(server.get("/api/app/connection", ("server-secret", &secret)).await.unwrap().0, 200);
    Arc::get_mut(&mut server).unwrap().terminate();
    drop(server);

    let now = wrapped(&place);
    assert!(now.iter().all(|blob| !before.contains(blob)));
    assert!(!place.data().join("master.key.next").exists());
    assert_ne!(std::fs::read_to_string(place.data().join("master.key")).unwrap(), first_key);
    if place.database().is_none() {
        hold_none(&place.data(), &before);
    }
    let with_the_new = place.start();
    let (status, _) = with_the_new.log_in(&token, "r9n0@example.com").await.unwrap();
    assert_eq!(status, 200);
    drop(with_the_new);

    let place = place.with("LATCHKEY__KEYS__MASTER_KEY", first_key.trim());
    let refused = place.run(&["app", "create", "x"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(78), "{said}");
    assert!(said.contains("sealed with master key"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_099_sqlite_opens_with_the_new_master_key_alone() {
    rotates(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_099_postgres_opens_with_the_new_master_key_alone() {
    rotates(Place::postgres()).await;
}

/// Which generations of the key that seals there are.
fn data_keys(place: &Place) -> Vec<i64> {
    #[derive(diesel::QueryableByName)]
    struct Generation {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        generation: i64,
    }
    let query = "SELECT generation FROM server_keys WHERE purpose = 'data' ORDER BY generation";
    rows::<Generation>(place, query).into_iter().map(|row| row.generation).collect()
}

/// Waits until the old keys are gone: the server goes on by itself.
async fn settled(place: &Place) -> i64 {
    for _ in 0..1_200 {
        if let [only] = data_keys(place).as_slice() {
            return *only;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the old keys are still there");
}

async fn replaces_the_servers_keys(place: Place) {
    let place = place.with("LATCHKEY__KEYS__ROTATION_SECONDS", "5");
    let token = app_token_in(&place.printed(&["app", "create", "Shop", "--signup-flow", "none"]));
    let secret = place.printed(&["token", "server"]);
    let mut made = Vec::new();
    // Stopped all the time: begun, before it is used, while values are resealed, before the old keys
    // are removed.
    let mut round = 0;
    while round < 8 || data_keys(&place).len() > 1 {
        let mut server = Arc::new(place.start());
        let under_load = tokio::spawn(load(Arc::clone(&server), token.clone(), round));
        let mut command = place.command(&["keys", "rotate-server"]).spawn().unwrap();
        let moment = [0, 50, 900, 1_500, 400].get(round % 5).copied().unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        kill(command.id());
        let _ = command.wait();
        if round % 2 == 0 {
            kill(server.pid());
        }
        made.extend(under_load.await.unwrap());
        for handle in made.iter().step_by(7).filter(|_| round % 2 == 1) {
            let (status, answer) = server.log_in(&token, handle).await.unwrap();
            assert_eq!(status, 200, "round {round}: {handle}: {answer}");
        }
        Arc::get_mut(&mut server).unwrap().kill();
        round += 1;
    }

    // To its end, while the server is under load, and once more without a server.
    let before = settled(&place).await;
    let server = Arc::new(place.start());
    let (_, answer) = server.sign_up(&token, "ana@example.com").await.unwrap();
    let access = answer["access-token"].as_str().unwrap().to_owned();
    let under_load = tokio::spawn(load(Arc::clone(&server), token.clone(), 99));
    let told = place.printed(&["keys", "rotate-server"]);
    assert!(told.contains("regenerateAppKey"), "{told}");
    under_load.await.unwrap();
    assert_eq!(settled(&place).await, before + 1);
    assert_ne!(server.get("/api/appuser/getUser", ("access-token", &access)).await.unwrap().0, 200);
    assert_ne!(server.get("/api/app/connection", ("server-secret", &secret)).await.unwrap().0, 200);
    drop(server);
    let told = place.printed(&["keys", "rotate-server", "--app-tokens"]);
    assert!(told.contains("App tokens ended"), "{told}");
    assert_eq!(data_keys(&place), [before + 2]);
    let server = place.start();
    assert_ne!(server.log_in(&token, "ana@example.com").await.unwrap().0, 200);
    let new_secret = place.printed(&["token", "server"]);
    let apps = server.get("/api/app/allApps", ("server-secret", &new_secret)).await.unwrap().1;
    let new_token = apps[0]["appToken"].as_str().unwrap();
    for handle in made.iter().chain([&"ana@example.com".to_owned(), &"r99n7@example.com".to_owned()]) {
        let (status, answer) = server.log_in(new_token, handle).await.unwrap();
        assert_eq!(status, 200, "{handle}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_135_the_servers_keys_are_replaced_on_sqlite() {
    replaces_the_servers_keys(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_135_the_servers_keys_are_replaced_on_postgres() {
    replaces_the_servers_keys(Place::postgres()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec_135_an_instance_without_the_present_master_key_stops() {
    let place = Place::postgres().with("LATCHKEY__KEYS__ROTATION_SECONDS", "5");
    let token = app_token_in(&place.printed(&["app", "create", "Shop", "--signup-flow", "none"]));
    let old = place.data().join("old.key");
    std::fs::copy(place.data().join("master.key"), &old).unwrap();
    let behind = place.second().with("LATCHKEY__KEYS__MASTER_KEY_FILE", old.to_str().unwrap());
    let mut behind = behind.start();
    let _ = place.printed(&["keys", "rotate-master"]);
    let server = place.start();
    assert_eq!(behind.sign_up(&token, "ana@example.com").await.unwrap().0, 200);
    let _ = place.printed(&["keys", "rotate-server"]);
    assert_eq!(behind.terminate(), Some(78), "it has stopped by itself: {}", behind.log());
    assert!(behind.log().contains("present master key"), "{}", behind.log());
    assert_eq!(server.log_in(&token, "ana@example.com").await.unwrap().0, 200);
}

#[test]
fn a_key_in_the_settings_is_replaced_by_its_operator() {
    let old = "ab".repeat(32);
    let place = Place::sqlite().with("LATCHKEY__KEYS__MASTER_KEY", &old);
    let _ = place.printed(&["app", "create", "Shop"]);
    let refused = place.run(&["keys", "rotate-master"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--to"));
    let to = place.data().join("new.key");
    let told = place.printed(&["keys", "rotate-master", "--to", to.to_str().unwrap()]);
    assert!(told.contains("Put it into the settings"), "{told}");
    assert_eq!(place.run(&["app", "create", "x"]).status.code(), Some(78));
    let new = std::fs::read_to_string(&to).unwrap();
    let place = place.with("LATCHKEY__KEYS__MASTER_KEY", new.trim());
    assert!(place.printed(&["app", "list"]).contains("Shop"));
}

/// Until everything is rewrapped, the old key stays in use: it keeps its name when the database fails.
#[test]
fn a_change_that_fails_leaves_the_old_key_in_its_place() {
    use diesel::connection::SimpleConnection as _;

    let place = Place::sqlite();
    let _ = place.printed(&["app", "create", "Shop"]);
    let key = || std::fs::read_to_string(place.data().join("master.key")).unwrap();
    let on_database = |sql: &str| {
        let path = place.data().join("latchkey.db");
        SqliteConnection::establish(path.to_str().unwrap()).unwrap().batch_execute(sql).unwrap();
    };
    let before = key();
    on_database("CREATE TRIGGER refuses BEFORE UPDATE ON server_keys BEGIN SELECT RAISE(ABORT, 'no'); END;");
    assert_ne!(place.run(&["keys", "rotate-master"]).status.code(), Some(0));
    assert_eq!(key(), before);
    on_database("DROP TRIGGER refuses;");
    assert!(place.printed(&["app", "list"]).contains("Shop"));
    let _ = place.printed(&["keys", "rotate-master"]);
    assert_ne!(key(), before);
    assert!(place.printed(&["app", "list"]).contains("Shop"));
}

/// What a kill leaves behind, at the two places where it matters.
#[test]
fn a_change_that_was_killed_is_finished_or_can_be_made_again() {
    use std::os::unix::fs::PermissionsExt as _;

    let place = Place::sqlite();
    let _ = place.printed(&["app", "create", "Shop"]);
    let (file, next) = (place.data().join("master.key"), place.data().join("master.key.next"));
    let old = std::fs::read_to_string(&file).unwrap();
    let leave = |text: &str| {
        std::fs::write(&next, text).unwrap();
        std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    let _ = place.printed(&["keys", "rotate-master"]);
    let new = std::fs::read_to_string(&file).unwrap();
    // All was wrapped with the new key, which had not taken its name.
    std::fs::write(&file, &old).unwrap();
    leave(&new);
    assert!(place.printed(&["app", "list"]).contains("Shop"));
    assert_eq!((std::fs::read_to_string(&file).unwrap(), next.exists()), (new.clone(), false));
    // The next key was there, and nothing was wrapped with it.
    leave(&old);
    assert!(place.printed(&["app", "list"]).contains("Shop"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), new);
    let _ = place.printed(&["keys", "rotate-master"]);
    assert!(!next.exists());
    assert!(place.printed(&["app", "list"]).contains("Shop"));
}
