//! How many text messages go out, and that none of the applications uses up the share of another.

use serde_json::json;
use time::Duration;

use crate::factors::PHONE;
use crate::harness::TestApp;
use crate::on_every_store;

on_every_store!(
    sec_048_over_a_limit_nothing_is_sent_and_the_answer_is_the_same,
    sec_048_new_numbers_leave_log_ins_their_share,
    sec_048_one_application_closes_no_range_of_numbers_for_others,
    sec_048_one_account_costs_no_more_than_its_share,
);

const ANA: &str = "ana@example.com";

async fn sec_048_over_a_limit_nothing_is_sent_and_the_answer_is_the_same(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    // The application's own limit of a day is where its cost ends, half of it for new numbers.
    app.set(&shop, "smsADay", "smsADay", json!(4)).await;
    let access = app.user(&shop, ANA).await;
    for number in 0..4 {
        let phone = format!("+49171{number}2345678");
        assert_eq!(app.set_phone(&access, phone).await.text(), "true");
    }
    assert_eq!(app.texts().await.len(), 2);
    // A user's six of a day.
    app.set(&shop, "smsADay", "smsADay", json!(1_000)).await;
    for number in 0..9 {
        app.clock.advance(Duration::seconds(61));
        app.set_phone(&access, format!("+49161{number}2345678")).await;
        app.texts().await;
    }
    assert_eq!(app.texts().await.len(), 6);
    // One number, from all applications and users: six an hour, and two of each application beyond.
    let other = app.app_with_mode("Other", "phone").await;
    let mut sent = 6;
    for number in 0..11 {
        let user = app.user(&other, &format!("u{number}@example.com")).await;
        app.clock.advance(Duration::seconds(61));
        assert_eq!(app.set_phone(&user, PHONE).await.text(), "true");
        assert_eq!(app.set_phone(&user, PHONE).await.text(), "true");
        sent += usize::from(number < 8);
        assert_eq!(app.texts().await.len(), sent, "{number}");
    }
}

async fn sec_048_new_numbers_leave_log_ins_their_share(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    let ana = app.user(&shop, ANA).await;
    app.enrol_phone(&ana, PHONE).await;
    app.set(&shop, "smsADay", "smsADay", json!(10)).await;
    // Somebody else has codes sent wherever he can, here and from another application.
    let eve = app.user(&shop, "eve@example.com").await;
    let other = app.app_with_mode("Other", "phone").await;
    let mallory = app.user(&other, "mallory@example.com").await;
    for number in 0..9 {
        app.clock.advance(Duration::seconds(61));
        app.set_phone(&eve, format!("+49171{number}2345678")).await;
        app.set_phone(&mallory, PHONE).await;
        app.texts().await;
    }
    let acts = app.audit(&shop).await;
    assert!(
        acts.iter()
            .any(|entry| entry.action == "sms.withheld" && entry.detail.as_deref() == Some("sms.app.new"))
    );
    let sent = app.texts().await.len();
    let login_token = app.login_token(&shop, ANA).await;
    assert_eq!(app.texts().await.len(), sent + 1, "the owner's code is sent");
    let code = app.code_at(PHONE).await;
    assert_eq!(app.complete(&shop, &login_token, code).await.status, 200);
}

async fn sec_048_one_application_closes_no_range_of_numbers_for_others(app: TestApp) {
    let other = app.app_with_mode("Other", "phone").await;
    for number in 0..30 {
        let mallory = app.user(&other, &format!("m{number}@example.com")).await;
        app.set_phone(&mallory, format!("+4915120{number:02}5678")).await;
    }
    assert_eq!(app.texts().await.len(), 25, "the range has had enough, and so has the application");
    let shop = app.app_with_mode("Shop", "phone").await;
    for (number, is_sent) in [(1, true), (2, true), (3, true), (4, true), (5, true), (6, false)] {
        let user = app.user(&shop, &format!("u{number}@example.com")).await;
        let phone = format!("+49151203{number}5678");
        let before = app.texts().await.len();
        assert_eq!(app.set_phone(&user, phone.as_str()).await.text(), "true");
        assert_eq!(app.texts().await.len() > before, is_sent, "{number}");
    }
}

async fn sec_048_one_account_costs_no_more_than_its_share(app: TestApp) {
    let shop = app.app_with_mode("Shop", "phone").await;
    let eve = app.user(&shop, "eve@example.com").await;
    for number in 0..30 {
        app.clock.advance(Duration::seconds(61));
        let phone = format!("+4917{number:02}2345678");
        app.set_phone(&eve, phone.as_str()).await;
        if let Some(text) = app.texts().await.last().filter(|text| text.to.as_str() == phone) {
            let code: String = text.text.chars().take(6).collect();
            assert_eq!(app.verify_phone(&eve, code).await.text(), "true");
        }
    }
    assert_eq!(app.texts().await.len(), 24);
}
