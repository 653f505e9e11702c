//! The claim `sub`: one user's, whatever it is made of, whichever door they come in by.

use latchkey_domain::Preset;
use latchkey_service::Operator;
use latchkey_service::transfer::RecordOutcome;
use latchkey_transfer::UserRecord;
use serde_json::json;

use crate::harness::{GOOD_PASSWORD, Made, PASSWORD, TestApp};
use crate::on_every_store;
use crate::provider::{GOOGLE, token};

on_every_store!(
    sec_131_no_door_lets_a_second_user_have_ones_sub,
    sec_131_a_format_that_gives_two_users_one_sub_is_refused,
    sec_131_of_twenty_at_once_one_gets_the_sub,
);

const FIRST: &str = "john_doe@x.test";
const OTHERS: [&str; 2] = ["john@doe@x.test", "john@doe_x.test"];

async fn shop(app: &TestApp) -> Made {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    app.set(&shop, "userIdFormat", "userIdFormat", json!("handle_underscore")).await;
    shop
}

async fn sec_131_no_door_lets_a_second_user_have_ones_sub(app: TestApp) {
    let shop = shop(&app).await;
    let sign_up = async |handle: &str| {
        app.as_app(&shop, "signup", json!({"handle": handle, "password": GOOD_PASSWORD})).await
    };
    let first = sign_up(FIRST).await;
    assert_eq!(app.claims(&shop, &first.field("jwt")).await["sub"], "john_doe_x.test");
    let access = first.field("access-token");
    app.set(&shop, "googleLogin", "googleLoginEnabled", json!(true)).await;
    app.set(&shop, "googleClientId", "googleClientId", json!("client-1")).await;
    for other in OTHERS {
        assert_eq!(sign_up(other).await.error(), (400, 601), "{other}");
        let body = json!({"appId": shop.id, "handle": other, "password": PASSWORD});
        assert_eq!(app.admin("addUser", body).await.error(), (409, 601), "{other}");
        let record = UserRecord { handle: other.to_owned(), ..UserRecord::default() };
        let id = shop.id.parse().unwrap();
        let checked = app.service.check_users(id, vec![record.clone()]).await.unwrap();
        let taken = app.service.import_users(Operator::command_line(), id, vec![record]).await.unwrap();
        for taken in [checked, taken] {
            assert!(matches!(&taken[..], [RecordOutcome::Refused(why)] if why.contains("sub")), "{taken:?}");
        }
    }
    // Doors that need an address.
    let other = OTHERS[1];
    let invite = json!({"handle": other, "senderUserId": "me"});
    assert_eq!(app.as_user(&access, "invite", invite).await.error(), (400, 601));
    let body = json!({"provider": "google", "token": token(GOOGLE, "g-1", other), "handle": other});
    assert_eq!(app.as_app(&shop, "socialSignup", body).await.error(), (400, 610));
    let invited = json!({"appId": shop.id, "handles": [other]});
    let answer = app.admin("createAppInvite", invited).await;
    assert!(answer.text().contains("exists") || answer.status != 200, "{}", answer.text());
    // Once the first one is gone, the sub is free.
    app.admin("removeUser", json!({"appId": shop.id, "handle": FIRST})).await;
    assert_eq!(sign_up(OTHERS[0]).await.status, 200);
    assert_eq!(sign_up(FIRST).await.error(), (400, 601));
}

async fn sec_131_a_format_that_gives_two_users_one_sub_is_refused(app: TestApp) {
    let shop = app.app_without_code("Shop", Preset::Compatible).await;
    for handle in [FIRST, OTHERS[0]] {
        let body = json!({"handle": handle, "password": GOOD_PASSWORD});
        assert_eq!(app.as_app(&shop, "signup", body).await.status, 200, "{handle}");
    }
    let body = json!({"appId": shop.id, "setting": "userIdFormat", "userIdFormat": "handle_underscore"});
    let answer = app.admin("updateAppSetting", body.clone()).await;
    assert_eq!(answer.error(), (400, 602));
    assert!(answer.text().contains("john_doe_x.test"), "{}", answer.text());
    app.admin("removeUser", json!({"appId": shop.id, "handle": OTHERS[0]})).await;
    assert_eq!(app.admin("updateAppSetting", body).await.status, 200);
}

async fn sec_131_of_twenty_at_once_one_gets_the_sub(app: TestApp) {
    let shop = shop(&app).await;
    let calls = (0..20).map(|n| {
        let handle = [FIRST, OTHERS[0], OTHERS[1]][n % 3];
        app.as_app(&shop, "signup", json!({"handle": handle, "password": GOOD_PASSWORD}))
    });
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
}
