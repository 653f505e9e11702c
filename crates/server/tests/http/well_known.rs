//! `/apps/{appId}/.well-known/`.

use actix_web::test::TestRequest;
use latchkey_storage::Store;

use crate::harness::TestApp;
use crate::on_every_store;

on_every_store!(sec_065_keys_are_public_members_only, sec_035_addresses_come_from_the_settings);

async fn sec_065_keys_are_public_members_only<S: Store>(app: TestApp<S>) {
    let shop = app.app("Shop").await;
    let answer = app.send(TestRequest::get().uri(&format!("/apps/{}/.well-known/jwks.json", shop.id))).await;
    assert_eq!(answer.headers.get("cache-control").unwrap(), "public, max-age=900");
    let body = answer.json();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["keys"]);
    let key = body["keys"][0].as_object().unwrap();
    assert_eq!(key.keys().collect::<Vec<_>>(), ["alg", "e", "kid", "kty", "n", "use"]);
    for unknown in ["0".repeat(32), "nonsense".to_owned()] {
        let answer =
            app.send(TestRequest::get().uri(&format!("/apps/{unknown}/.well-known/jwks.json"))).await;
        assert_eq!(answer.error(), (404, 602));
    }
}

async fn sec_035_addresses_come_from_the_settings<S: Store>(app: TestApp<S>) {
    let shop = app.app("Shop").await;
    let uri = format!("/apps/{}/.well-known/openid-configuration", shop.id);
    let hostile = TestRequest::get()
        .uri(&uri)
        .insert_header(("host", "evil.example"))
        .insert_header(("x-forwarded-host", "evil.example"))
        .insert_header(("x-forwarded-proto", "http"))
        .insert_header(("forwarded", "host=evil.example"));
    let answer = app.send(hostile).await;
    assert_eq!(answer.field("issuer"), format!("https://auth.example.com/apps/{}", shop.id));
    assert_eq!(
        answer.field("jwks_uri"),
        format!("https://auth.example.com/apps/{}/.well-known/jwks.json", shop.id)
    );
    assert!(!answer.text().contains("evil"));
}
