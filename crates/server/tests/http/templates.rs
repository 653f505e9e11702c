//! What operators write into messages: what it may cost, and where it may lead.

use latchkey_storage::Store;
use serde_json::json;

use crate::harness::{Answer, Made, PASSWORD, TestApp};
use crate::on_every_store;

on_every_store!(sec_129_a_hostile_template_costs_no_more_than_its_length);

async fn word<S: Store>(app: &TestApp<S>, shop: &Made, id: &str, html: &str) -> Answer {
    let words = json!({"appId": shop.id, "_id": id, "subject": "Hello", "htmlTemplate": html});
    app.admin("updateEmailTemplate", words).await
}

async fn sec_129_a_hostile_template_costs_no_more_than_its_length<S: Store>(app: TestApp<S>) {
    let shop = app.app("Shop").await;
    for (html, rule) in [
        (format!("%CODE%<table>{}", "<p>x".repeat(10_000)), "more than 6000 tags"),
        (format!("%CODE%<a {}>", "b ".repeat(100)), "more than 50 attributes"),
        ("%CODE% ".repeat(200), "more than 100 placeholders"),
        (format!("%CODE%{}", "<div>".repeat(60)), "nested too deeply"),
    ] {
        let answer = word(&app, &shop, "signUp-EN", &html).await;
        assert_eq!(answer.error(), (400, 602));
        assert!(answer.text().contains(rule), "{}", answer.text());
    }
    for (number, hostile) in
        ["<".repeat(120_000) + ">", "a < b ".repeat(20_000), "&".repeat(120_000)].iter().enumerate()
    {
        assert_eq!(word(&app, &shop, "signUp-EN", &format!("%CODE%{hostile}")).await.status, 200);
        for other in 0..3 {
            let handle = format!("u{number}{other}@example.com");
            let body = json!({"handle": handle, "password": PASSWORD});
            assert_eq!(app.as_app(&shop, "signup", body).await.text(), "true");
        }
        let mail = app.mail("Hello").await;
        assert!(mail.text.chars().take(6).all(|c| c.is_ascii_digit()), "{:.40}", mail.text);
    }
}
