//! Pairs of changes of which one runs while the other is between reading and writing: at every point of its unit of
//! work, on both databases. What the second one has answered is never lost (SEC-128).

use std::time::Duration;

use latchkey_domain::Preset;
use latchkey_service::Operator;
use latchkey_storage::Store;
use latchkey_test_support::{Interleaving, TestDatabase};
use serde_json::{Value, json};

use crate::harness::{Answer, GOOD_PASSWORD, Made, OTHER_PASSWORD, PASSWORD, TestApp, request};
use crate::key_rotation;
use crate::provider::{GOOGLE, token};
use crate::social;

/// More accesses than any unit of work under test has.
const MOST_ACCESSES: usize = 24;
const ANA: &str = "ana@example.com";

/// A server, an application on it, and a user who signed in.
struct Scene {
    app: TestApp,
    interleaving: Interleaving,
    shop: Made,
    access: String,
    id: String,
}

/// Both answers, and whether the second one came while the first was under way.
struct Both {
    first: Answer,
    second: Answer,
    second_came_first: bool,
}

impl Scene {
    async fn new(store: Store) -> Self {
        let interleaving = Interleaving::new(store);
        let app = TestApp::over(interleaving.store()).await;
        let shop = app.app_without_code("Shop", Preset::Compatible).await;
        app.set(&shop, "userNamesEnabled", "userNamesEnabled", json!(true)).await;
        let fields = json!([{"path": "colour", "canEdit": true}, {"path": "role", "userSettable": false}]);
        app.admin("updateAppMetaData", json!({"appId": shop.id, "metaData": fields})).await;
        let body = json!({"handle": ANA, "password": GOOD_PASSWORD});
        let access = app.as_app(&shop, "signup", body).await.field("access-token");
        let id = app.user_id(&shop, ANA).await;
        Self { app, interleaving, shop, access, id }
    }

    /// Runs `second` while `first` is paused within its unit of work. None when the unit has no such access.
    async fn race(
        &self,
        (unit, access): (&'static str, Option<usize>),
        first: impl AsyncFn(&Self) -> Answer,
        second: impl AsyncFn(&Self) -> Answer,
    ) -> Option<Both> {
        let mut paused = self.interleaving.pause(unit, access);
        let both = async {
            if !paused.reached().await {
                return None;
            }
            // On SQLite the other one waits until this one has written, on PostgreSQL where it has locked a row.
            let mut second = std::pin::pin!(second(self));
            let early = tokio::time::timeout(Duration::from_millis(300), &mut second).await.ok();
            drop(paused);
            let second_came_first = early.is_some();
            let second = match early {
                Some(answer) => answer,
                None => second.await,
            };
            Some((second, second_came_first))
        };
        let (first, rest) = futures_util::future::join(first(self), both).await;
        rest.map(|(second, second_came_first)| Both { first, second, second_came_first })
    }

    async fn claims(&self) -> Value {
        let body = json!({"handle": ANA, "password": GOOD_PASSWORD});
        let jwt = self.app.as_app(&self.shop, "login", body).await.field("jwt");
        self.app.claims(&self.shop, &jwt).await
    }

    async fn admin(&self, name: &str, mut body: Value) -> Answer {
        body["appId"] = json!(self.shop.id);
        self.app.admin(name, body).await
    }

    async fn suspend(&self) -> Answer {
        self.admin("user", json!({"userId": self.id, "status": "suspend"})).await
    }

    async fn set_metadata(&self, values: Value) -> Answer {
        self.app.as_user(&self.access, "setUserMetadata", json!({"metaData": values})).await
    }
}

/// Runs a new scene for every point at which `unit` can be interrupted.
macro_rules! at_every_point {
    ($($test:ident: $unit:literal),+ $(,)?) => {
        mod sqlite {$(
            #[actix_web::test]
            async fn $test() {
                for access in points() {
                    let database = super::TestDatabase::sqlite();
                    let scene = super::Scene::new(database.store()).await;
                    super::$test(&scene, ($unit, access)).await;
                }
            }
        )+
            fn points() -> impl Iterator<Item = Option<usize>> {
                // Within the unit nobody else writes; before it, somebody may.
                [None, Some(0)].into_iter()
            }
        }
        mod postgres {$(
            #[actix_web::test]
            async fn $test() {
                for access in points() {
                    let database = super::TestDatabase::postgres();
                    let scene = super::Scene::new(database.store()).await;
                    if !super::$test(&scene, ($unit, access)).await {
                        assert!(access > Some(1), "{} was not reached", $unit);
                        return;
                    }
                }
                panic!("{} has more accesses than are tried", $unit);
            }
        )+
            fn points() -> impl Iterator<Item = Option<usize>> {
                std::iter::once(None).chain((0..super::MOST_ACCESSES).map(Some))
            }
        }
    };
}

at_every_point!(
    sec_128_a_role_that_was_revoked_stays_revoked: "user.change",
    sec_128_a_colour_survives_a_change_of_the_role: "user.metadata",
    sec_128_two_settings_of_one_user_are_both_kept: "user.change",
    sec_128_whoever_is_suspended_takes_no_name: "user.change",
    sec_128_whoever_is_suspended_changes_no_factor: "factor.change",
    sec_128_whoever_is_suspended_changes_no_password: "password.change",
    sec_128_a_password_changes_while_it_is_resealed: "password.change",
    sec_128_nobody_logs_in_who_was_signed_out_meanwhile: "login.settle",
    sec_128_a_name_is_no_new_users_handle: "user.change",
    sec_128_a_new_users_handle_is_no_name: "user.add",
    sec_128_a_sign_up_takes_nobodys_name: "signup.add_user",
    sec_128_a_suspension_survives_a_change_of_role: "user.operate",
    sec_128_words_build_on_the_last_ones: "app.change",
    sec_128_a_key_that_was_replaced_does_not_come_back: "app.update",
    sec_086_a_token_that_is_revoked_meanwhile_makes_no_other: "operator_token.add",
    sec_126_whoever_asked_again_meanwhile_has_the_last_word: "signup.complete",
    sec_128_whoever_lost_the_race_for_an_address_is_told_how_its_user_signs_in: "social.sign_up",
);

type Point = (&'static str, Option<usize>);

async fn sec_128_a_role_that_was_revoked_stays_revoked(scene: &Scene, at: Point) -> bool {
    let role = json!({"handle": ANA, "metaData": {"role": "admin"}});
    assert_eq!(scene.admin("updateAppUserMetaData", role).await.status, 200);
    let both = scene.race(
        at,
        async |scene| scene.set_metadata(json!({"colour": "red"})).await,
        async |scene| {
            scene.admin("updateAppUserMetaData", json!({"handle": ANA, "metaData": {"role": "none"}})).await
        },
    );
    let Some(both) = both.await else { return false };
    assert_eq!((both.first.status, both.second.status), (200.try_into().unwrap(), 200.try_into().unwrap()));
    assert_eq!(scene.claims().await["role"], "none", "{at:?}");
    true
}

async fn sec_128_a_colour_survives_a_change_of_the_role(scene: &Scene, at: Point) -> bool {
    let both = scene.race(
        at,
        async |scene| {
            let values = json!({"role": "none", "colour": "blue"});
            scene.admin("updateAppUserMetaData", json!({"handle": ANA, "metaData": values})).await
        },
        async |scene| scene.set_metadata(json!({"colour": "red"})).await,
    );
    let Some(both) = both.await else { return false };
    assert_eq!((both.first.text(), both.second.text()), ("true".to_owned(), "true".to_owned()));
    let claims = scene.claims().await;
    assert_eq!(claims["role"], "none", "{at:?}");
    true
}

async fn sec_128_nobody_logs_in_who_was_signed_out_meanwhile(scene: &Scene, at: Point) -> bool {
    let both = scene.race(
        at,
        async |scene| {
            let body = json!({"handle": ANA, "password": GOOD_PASSWORD});
            scene.app.as_app(&scene.shop, "login", body).await
        },
        async |scene| scene.admin("signOutUser", json!({"userId": scene.id})).await,
    );
    let Some(both) = both.await else { return false };
    assert_eq!(both.second.text(), "true");
    if at.1.is_none() {
        assert_eq!(both.first.error(), (400, 600), "signed out while the password was verified");
    } else if both.first.status == 200 {
        let access = both.first.field("access-token");
        let user = scene.app.get("/api/appuser/getUser", ("access-token", &access)).await;
        assert!(!both.second_came_first || user.status == 400, "{at:?}: {}", user.text());
    }
    true
}

async fn sec_128_two_settings_of_one_user_are_both_kept(scene: &Scene, at: Point) -> bool {
    let both = scene.race(
        at,
        async |scene| scene.set_metadata(json!({"colour": "red"})).await,
        async |scene| scene.app.as_user(&scene.access, "setUserName", json!({"userName": "ana"})).await,
    );
    let Some(both) = both.await else { return false };
    assert_eq!((both.first.text(), both.second.text()), ("true".to_owned(), "true".to_owned()));
    let user = scene.app.get("/api/appuser/getUser", ("access-token", &scene.access)).await.json();
    assert_eq!((&user["metaData"]["colour"], &user["userName"]), (&json!("red"), &json!("ana")), "{at:?}");
    true
}

/// A user who is suspended before their change is written has changed nothing.
fn is_refused(both: &Both, at: Point) {
    assert_eq!(both.second.status, 200, "{}", both.second.text());
    if both.second_came_first {
        assert_ne!(both.first.status, 200, "{at:?}: {}", both.first.text());
    }
}

async fn sec_128_whoever_is_suspended_takes_no_name(scene: &Scene, at: Point) -> bool {
    let both = scene.race(
        at,
        async |scene| scene.app.as_user(&scene.access, "setUserName", json!({"userName": "ana"})).await,
        async |scene| scene.suspend().await,
    );
    let Some(both) = both.await else { return false };
    is_refused(&both, at);
    true
}

async fn sec_128_whoever_is_suspended_changes_no_factor(scene: &Scene, at: Point) -> bool {
    let app = &scene.app;
    app.set(&scene.shop, "twoFactorVerification", "twoFactorVerification", json!("google")).await;
    let both = scene.race(
        at,
        async |scene| {
            let body = json!({"twoFactor": true});
            scene.app.as_user(&scene.access, "setTwoFactorGoogleVerification", body).await
        },
        async |scene| scene.suspend().await,
    );
    let Some(both) = both.await else { return false };
    is_refused(&both, at);
    true
}

async fn sec_128_whoever_is_suspended_changes_no_password(scene: &Scene, at: Point) -> bool {
    let both = scene.race(
        at,
        async |scene| {
            let body = json!({"password": GOOD_PASSWORD, "newPassword": OTHER_PASSWORD});
            scene.app.as_user(&scene.access, "changePassword", body).await
        },
        async |scene| scene.suspend().await,
    );
    let Some(both) = both.await else { return false };
    is_refused(&both, at);
    true
}

async fn sec_128_a_key_that_was_replaced_does_not_come_back(scene: &Scene, at: Point) -> bool {
    let kids = async || {
        let set =
            scene.app.get(&format!("/apps/{}/.well-known/jwks.json", scene.shop.id), ("x", "")).await.json();
        let keys = set["keys"].as_array().unwrap().iter();
        keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let leaked = kids().await.remove(0);
    let both = scene.race(
        at,
        async |scene| {
            let body = json!({"setting": "userJWTExpiration", "userJWTExpiration": 12});
            scene.admin("updateAppSetting", body).await
        },
        async |scene| scene.admin("regenerateAppKey", json!({})).await,
    );
    let Some(both) = both.await else { return false };
    assert_eq!((both.first.status, both.second.status), (200.try_into().unwrap(), 200.try_into().unwrap()));
    let left = kids().await;
    assert!(left.len() == 1 && left[0] != leaked, "{at:?}: {left:?}");
    true
}

async fn sec_086_a_token_that_is_revoked_meanwhile_makes_no_other(scene: &Scene, at: Point) -> bool {
    let body = json!({"name": "ci", "scopes": "everything"});
    let maker = scene.app.admin("createOperatorToken", body.clone()).await;
    let (secret, revoke) = (maker.field("secret"), json!({"tokenId": maker.field("tokenId")}));
    let both = scene.race(
        at,
        async |scene| {
            let request = request("POST", "/api/app/createOperatorToken");
            scene.app.send(request.insert_header(("server-secret", &*secret)).set_json(&body)).await
        },
        async |scene| scene.app.admin("revokeOperatorToken", revoke.clone()).await,
    );
    let Some(both) = both.await else { return false };
    assert_eq!(both.second.status, 200, "{at:?}");
    if both.first.status == 200 {
        let child = both.first.field("secret");
        let answer = scene.app.get("/api/app/allApps", ("server-secret", &child)).await;
        assert_eq!(answer.error(), (403, 500), "{at:?}");
    }
    true
}

/// One text is one person's, as handle or as user name.
fn one_has_it(both: &Both, at: Point) {
    let taken = [&both.first, &both.second].iter().filter(|answer| answer.status == 200).count();
    assert_eq!(taken, 1, "{at:?}: {} {}", both.first.text(), both.second.text());
}

async fn take_name(scene: &Scene) -> Answer {
    scene.app.as_user(&scene.access, "setUserName", json!({"userName": "fish"})).await
}

async fn add_user(scene: &Scene) -> Answer {
    scene.admin("addUser", json!({"handle": "fish", "password": PASSWORD})).await
}

async fn sec_128_a_password_changes_while_it_is_resealed(scene: &Scene, at: Point) -> bool {
    let app = &scene.app;
    app.service.rotate_server_keys(Operator::command_line(), false).await.unwrap();
    app.clock.advance(time::Duration::seconds(61));
    app.service.look_for_keys().await.unwrap();
    let body = json!({"handle": ANA, "password": GOOD_PASSWORD});
    let access = app.as_app(&scene.shop, "login", body.clone()).await.field("access-token");
    let both = scene.race(
        at,
        async |_| {
            let body = json!({"password": GOOD_PASSWORD, "newPassword": OTHER_PASSWORD});
            app.as_user(&access, "changePassword", body).await
        },
        async |_| {
            key_rotation::settled(app).await;
            app.get("/livez", ("x", "")).await
        },
    );
    let Some(both) = both.await else { return false };
    assert_eq!(both.first.status, 200, "{at:?}: {}", both.first.text());
    assert_eq!(app.as_app(&scene.shop, "login", body).await.error().1, 600);
    let body = json!({"handle": ANA, "password": OTHER_PASSWORD});
    assert_eq!(app.as_app(&scene.shop, "login", body).await.status, 200);
    true
}

async fn sec_128_a_name_is_no_new_users_handle(scene: &Scene, at: Point) -> bool {
    let Some(both) =
        scene.race(at, async |scene| take_name(scene).await, async |scene| add_user(scene).await).await
    else {
        return false;
    };
    one_has_it(&both, at);
    true
}

async fn sec_128_a_new_users_handle_is_no_name(scene: &Scene, at: Point) -> bool {
    let Some(both) =
        scene.race(at, async |scene| add_user(scene).await, async |scene| take_name(scene).await).await
    else {
        return false;
    };
    one_has_it(&both, at);
    true
}

async fn sec_128_a_sign_up_takes_nobodys_name(scene: &Scene, at: Point) -> bool {
    let both = scene.race(
        at,
        async |scene| {
            let body = json!({"handle": "fish", "password": GOOD_PASSWORD});
            scene.app.as_app(&scene.shop, "signup", body).await
        },
        async |scene| take_name(scene).await,
    );
    let Some(both) = both.await else { return false };
    one_has_it(&both, at);
    true
}

async fn sec_128_a_suspension_survives_a_change_of_role(scene: &Scene, at: Point) -> bool {
    let both = scene.race(
        at,
        async |scene| {
            let body = json!({"userId": scene.id, "administrator": true});
            scene.admin("setAdministrator", body).await
        },
        async |scene| scene.suspend().await,
    );
    let Some(both) = both.await else { return false };
    assert_eq!((both.first.status, both.second.status), (200.try_into().unwrap(), 200.try_into().unwrap()));
    let body = json!({"handle": ANA, "password": GOOD_PASSWORD});
    assert_eq!(scene.app.as_app(&scene.shop, "login", body).await.error(), (400, 404), "{at:?}");
    true
}

async fn sec_128_words_build_on_the_last_ones(scene: &Scene, at: Point) -> bool {
    let words = |html: &str| json!({"_id": "signUpLink-EN", "subject": "Hi", "htmlTemplate": html});
    let both = scene.race(
        at,
        async |scene| scene.admin("updateEmailTemplate", words("<p>first %LINK%</p>")).await,
        async |scene| {
            let mut words = words("<p>second %LINK%</p>");
            words["localeLinkText"] = json!("Press here");
            scene.admin("updateEmailTemplate", words).await
        },
    );
    let Some(both) = both.await else { return false };
    assert_eq!(both.first.status, 200, "{}", both.first.text());
    assert_eq!(both.second.status, 200, "{}", both.second.text());
    let templates = scene.app.admin_get(&format!("emailTemplates?appId={}", scene.shop.id)).await.text();
    assert!(templates.contains("Press here"), "{at:?}: {templates}");
    true
}

async fn sec_126_whoever_asked_again_meanwhile_has_the_last_word(scene: &Scene, at: Point) -> bool {
    const BOB: &str = "bob@example.com";
    let (app, shop) = (&scene.app, &scene.shop);
    app.set(shop, "signupFlow", "signupFlow", json!("code")).await;
    let ask =
        async |password: &str| app.as_app(shop, "signup", json!({"handle": BOB, "password": password})).await;
    let complete =
        async |code: String| app.as_app(shop, "completeSignup", json!({"handle": BOB, "code": code})).await;
    ask(GOOD_PASSWORD).await;
    let code = app.code_for(BOB).await;
    app.clock.advance(time::Duration::minutes(2));
    let both = scene.race(at, async |_| complete(code.clone()).await, async |_| ask(PASSWORD).await);
    let Some(both) = both.await else { return false };
    if at.1.is_none() {
        // All of the second one came between the look at the code and the work.
        assert!(both.second_came_first, "{at:?}");
        assert_eq!((both.first.error(), both.second.text().as_str()), ((400, 602), "true"), "{at:?}");
        assert_eq!(complete(app.code_for(BOB).await).await.status, 200);
    }
    let log_in = async |password: &str| {
        app.as_app(shop, "login", json!({"handle": BOB, "password": password})).await.status
    };
    let last = if both.first.status == 200 { GOOD_PASSWORD } else { PASSWORD };
    if both.first.status == 200 || at.1.is_none() {
        assert_eq!(log_in(last).await, 200, "{at:?}");
    }
    true
}

async fn sec_128_whoever_lost_the_race_for_an_address_is_told_how_its_user_signs_in(
    scene: &Scene,
    at: Point,
) -> bool {
    const BOB: &str = "bob@example.com";
    social::take_providers(&scene.app, &scene.shop).await;
    let sign_up = async |subject: &str| {
        let token = token(GOOGLE, subject, BOB);
        scene.app.social_signup(&scene.shop, "google", &token, BOB).await
    };
    let both = scene.race(at, async |_| sign_up("g-1").await, async |_| sign_up("g-2").await).await;
    let Some(both) = both else { return false };
    let (winner, loser) = match both.second_came_first {
        true => (&both.second, &both.first),
        false => (&both.first, &both.second),
    };
    assert_eq!(winner.status, 200, "{at:?}: {}", winner.text());
    assert_eq!(loser.error(), (400, 612), "{at:?}: {}", loser.text());
    true
}
