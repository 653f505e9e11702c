//! The outbox.

use latchkey_domain::{AppId, Channel, MessageState, OutboxMessage};
use time::OffsetDateTime;

use super::data::{app, at, message, stored_app, write};
use crate::Store;

async fn due(store: &Store, now: OffsetDateTime) -> Vec<OutboxMessage> {
    store
        .read("test", move |readers| {
            readers.outbox().list_due(Channel::Mail, (now, time::Duration::hours(1)), None, 10)
        })
        .await
        .unwrap()
}

async fn stored(store: &Store, number: u8) -> OutboxMessage {
    let message = message(app(1).0.id, number);
    let added = message.clone();
    write(store, move |repos| repos.outbox().add(&added)).await;
    message
}

/// Workers on many machines may see one message; one of them gets it.
pub async fn is_claimed_by_one_worker(store: Store) {
    let message = stored(&store, 1).await;
    // One that was never tried does not wait, whatever the clock was when it was promised.
    assert_eq!((due(&store, at(0)).await.len(), due(&store, at(1)).await.len()), (1, 1));
    let workers: Vec<_> = (0..16)
        .map(|_| {
            let (store, message) = (store.clone(), message.clone());
            tokio::spawn(
                async move { write(&store, move |repos| repos.outbox().claim(&message, at(60))).await },
            )
        })
        .collect();
    let mut winners = 0;
    for worker in workers {
        winners += usize::from(worker.await.unwrap());
    }
    assert_eq!(winners, 1);
    assert!(due(&store, at(59)).await.is_empty());
    assert_eq!(due(&store, at(60 - 3_601)).await.len(), 1, "no wait is longer than an hour");
    // The lease of a worker that died runs out.
    let again = due(&store, at(60)).await;
    assert_eq!((again.len(), again[0].attempts, again[0].payload.as_bytes()), (1, 1, &[1; 80][..]));
}

/// A worker that continues after its lease ended finds the message claimed by another one, and changes nothing.
pub async fn a_lost_claim_changes_nothing(store: Store) {
    let message = stored(&store, 1).await;
    let (app_id, id) = (message.app_id, message.id);
    write(&store, move |repos| repos.outbox().claim(&message, at(60))).await;
    let second = due(&store, at(60)).await.remove(0);
    write(&store, move |repos| repos.outbox().claim(&second, at(120))).await;
    assert!(!write(&store, move |repos| repos.outbox().remove(app_id, id, at(60))).await);
    assert!(!write(&store, move |repos| repos.outbox().fail(app_id, id, at(60), None, "late")).await);
    assert!(write(&store, move |repos| repos.outbox().remove(app_id, id, at(120))).await);
    assert!(due(&store, at(9_999)).await.is_empty());
}

/// A failure puts a message back for later, the last one for good.
pub async fn the_dead_are_not_due(store: Store) {
    let message = stored(&store, 1).await;
    let (app_id, id) = (message.app_id, message.id);
    write(&store, move |repos| repos.outbox().claim(&message, at(60))).await;
    write(&store, move |repos| repos.outbox().fail(app_id, id, at(60), Some(at(100)), "550 no")).await;
    let again = due(&store, at(100)).await.remove(0);
    assert_eq!(again.last_error.as_deref(), Some("550 no"));
    write(&store, move |repos| repos.outbox().claim(&again, at(160))).await;
    write(&store, move |repos| repos.outbox().fail(app_id, id, at(160), None, "550 no")).await;
    assert!(due(&store, at(9_999)).await.is_empty());
}

/// An operator sees the messages of one application, and makes a dead one due again.
pub async fn the_dead_can_be_revived(store: Store) {
    let (first, second) = (stored(&store, 1).await, stored(&store, 2).await);
    let (app_id, id) = (first.app_id, first.id);
    let list = async |before, limit| {
        let listed =
            store.read("test", move |readers| readers.outbox().list(app_id, before, limit)).await.unwrap();
        listed.iter().map(|message| message.id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, 10).await, [second.id, first.id]);
    assert_eq!(list(Some(second.id), 10).await, [first.id]);
    let revive = async |id| write(&store, move |repos| repos.outbox().revive(app_id, id, at(9))).await;
    let give_up = async |message: &OutboxMessage| {
        let (claimed, id) = (message.clone(), message.id);
        write(&store, move |repos| repos.outbox().claim(&claimed, at(60))).await;
        write(&store, move |repos| repos.outbox().fail(app_id, id, at(60), None, "refused")).await;
    };
    assert_eq!(revive(Some(id)).await, 0, "it is not dead");
    give_up(&first).await;
    assert_eq!(revive(Some(id)).await, 1);
    let again = due(&store, at(9)).await.into_iter().find(|message| message.id == id).unwrap();
    assert_eq!((again.attempts, again.due_at), (0, at(9)));
    assert_eq!(revive(None).await, 0);
    give_up(&again).await;
    give_up(&second).await;
    let mut elsewhere = message(app(2).0.id, 1);
    elsewhere.state = MessageState::Dead;
    write(&store, move |repos| repos.outbox().add(&elsewhere)).await;
    assert_eq!(revive(None).await, 2, "all of this application");
    assert_eq!(due(&store, at(9)).await.len(), 2);
}

/// Who is removed takes their messages along, of this application, and nobody else's.
pub async fn goes_with_its_recipient(store: Store) {
    let (first, second) = (stored(&store, 1).await, stored(&store, 2).await);
    let mut elsewhere = message(app(2).0.id, 1);
    elsewhere.due_at = at(3);
    let (also, recipient) = (elsewhere.clone(), first.recipient.clone().unwrap());
    write(&store, move |repos| repos.outbox().add(&also)).await;
    write(&store, move |repos| repos.outbox().remove_of(first.app_id, &recipient)).await;
    let left: Vec<_> =
        due(&store, at(9)).await.into_iter().map(|message| (message.app_id, message.id)).collect();
    assert_eq!(left, [(second.app_id, second.id), (elsewhere.app_id, elsewhere.id)]);
}

/// However many messages one application has, the others have as many of the next ones; and all have their turn.
pub async fn sec_136_applications_take_turns(store: Store) {
    let apps = [1, 2, 3].map(|number| stored_app(&store, number));
    let mut ids = Vec::new();
    for app in apps {
        ids.push(app.await.id);
    }
    let (flooding, small, other) = (ids[0], ids[1], ids[2]);
    for number in 0..40 {
        let added = message(flooding, number);
        write(&store, move |repos| repos.outbox().add(&added)).await;
    }
    for (app_id, number) in [(small, 200), (other, 210), (other, 211)] {
        let added = message(app_id, number);
        write(&store, move |repos| repos.outbox().add(&added)).await;
    }
    let list = async |after, limit| {
        let at = (at(300), time::Duration::hours(1));
        let due =
            store.read("test", move |readers| readers.outbox().list_due(Channel::Mail, at, after, limit));
        let due = due.await.unwrap();
        due.iter().map(|message| (message.app_id, message.id.as_bytes()[0])).collect::<Vec<_>>()
    };
    let of = |due: &[(AppId, u8)], app| due.iter().filter(|(id, _)| *id == app).count();
    let shared = list(None, 9).await;
    assert_eq!([flooding, small, other].map(|app| of(&shared, app)), [3, 1, 2]);
    assert_eq!(shared.first(), Some(&(flooding, 0)), "the longest due comes first");
    // Who comes when there is room for two or for one, depends on whose turn it is.
    assert_eq!(list(None, 2).await, [(flooding, 0), (small, 200)]);
    assert_eq!(list(Some(small), 2).await, [(other, 210), (flooding, 0)]);
    assert_eq!(list(Some(other), 1).await, [(flooding, 0)]);
    assert_eq!(list(Some(flooding), 1).await, [(small, 200)]);
    for id in [small, other] {
        write(&store, move |repos| repos.apps().remove_content(id)).await;
    }
    assert_eq!(list(Some(small), 9).await.len(), 9, "alone, one has it all");
    assert_eq!(list(Some(AppId::from_bytes([0xff; 16])), 9).await.len(), 9);
}
