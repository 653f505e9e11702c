//! Filling templates: every value once, escaped for the place where it stands. Templates have no logic.

use crate::html::{escape, text_of};

/// A message before its values are filled in. Marks are `%CODE%`, `%HANDLE%`, `%APP_NAME%` and `%LINK%`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The subject: only `%APP_NAME%` is filled in.
    pub subject: String,
    /// The message as plain text.
    pub text: String,
    /// The message as HTML.
    pub html: String,
}

impl Template {
    /// A message of which only the HTML is given; its plain text is made of that.
    #[must_use]
    pub fn from_html(subject: &str, html: &str) -> Self {
        Self { subject: subject.to_owned(), text: text_of(html), html: html.to_owned() }
    }

    /// The message with one more paragraph at its end.
    #[must_use]
    pub fn with_note(mut self, note: &str) -> Self {
        self.text.push_str(&format!("\n{note}\n"));
        self.html.push_str(&format!("<p>{}</p>\n", crate::html::escaped(note)));
        self
    }
}

/// Where a message leads.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// The address.
    pub url: &'a str,
    /// What it is called.
    pub text: &'a str,
}

/// What is filled in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Values<'a> {
    /// The application's name.
    pub app_name: &'a str,
    /// Whom the message is about.
    pub handle: &'a str,
    /// The code, if it carries one.
    pub code: Option<&'a str>,
    /// The link, if it carries one.
    pub link: Option<Link<'a>>,
}

/// A message that is ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The subject: one line.
    pub subject: String,
    /// The message as plain text.
    pub text: String,
    /// The message as HTML.
    pub html: String,
}

/// Fills a template.
#[must_use]
pub fn render(template: &Template, values: &Values<'_>) -> Rendered {
    let subject = fill(&template.subject, |name, into| match name {
        "APP_NAME" => put(into, Some(values.app_name), plain),
        _ => false,
    });
    Rendered {
        subject: subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        text: fill(&template.text, |name, into| match name {
            "LINK" => put(into, values.link.map(|link| link.url), plain),
            _ => put(into, value_of(values, name), plain),
        }),
        html: render_html(&template.html, values),
    }
}

/// Fills HTML alone.
#[must_use]
pub fn render_html(html: &str, values: &Values<'_>) -> String {
    fill(html, |name, into| match (name, values.link) {
        ("LINK", Some(link)) => {
            into.push_str("<a href=\"");
            escape(link.url, into);
            into.push_str("\">");
            escape(link.text, into);
            into.push_str("</a>");
            true
        }
        _ => put(into, value_of(values, name), escape),
    })
}

fn value_of<'v>(values: &Values<'v>, name: &str) -> Option<&'v str> {
    match name {
        "APP_NAME" => Some(values.app_name),
        "HANDLE" => Some(values.handle),
        "CODE" => values.code,
        _ => None,
    }
}

fn put(into: &mut String, value: Option<&str>, escape: fn(&str, &mut String)) -> bool {
    value.inspect(|value| escape(value, into)).is_some()
}

fn plain(value: &str, into: &mut String) {
    into.push_str(value);
}

/// Replaces marks from left to right. What a value brings in is never looked at again.
fn fill(template: &str, replace: impl Fn(&str, &mut String) -> bool) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('%') {
        filled.push_str(before);
        match after.split_once('%').filter(|(name, _)| replace(name, &mut filled)) {
            Some((_, end)) => rest = end,
            None => {
                filled.push('%');
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn template() -> Template {
        Template {
            subject: "For %APP_NAME% %CODE%".to_owned(),
            text: "100% of %HANDLE%: %CODE% %NOTHING% %LINK% %".to_owned(),
            html: "<p title=\"%HANDLE%\">%APP_NAME% %CODE%</p>%LINK%".to_owned(),
        }
    }

    #[test]
    fn sec_108_values_are_filled_in_once_and_escaped() {
        let values = Values {
            app_name: "%CODE%\r\n<b>",
            handle: "\"'&<x>@y",
            code: Some("123456"),
            link: Some(Link { url: "https://a.example/?x=\"&y", text: "<go>" }),
        };
        let rendered = render(&template(), &values);
        assert_eq!(rendered.subject, "For %CODE%  <b> %CODE%");
        assert_eq!(rendered.text, "100% of \"'&<x>@y: 123456 %NOTHING% https://a.example/?x=\"&y %");
        assert_eq!(
            rendered.html,
            "<p title=\"&quot;&#39;&amp;&lt;x&gt;@y\">%CODE%\r\n&lt;b&gt; 123456</p>\
             <a href=\"https://a.example/?x=&quot;&amp;y\">&lt;go&gt;</a>"
        );
    }

    proptest! {
        #[test]
        fn sec_108_no_value_becomes_markup(app_name in "\\PC{0,30}", handle in "\\PC{0,30}") {
            let values = Values { app_name: &app_name, handle: &handle, ..Values::default() };
            let html = render(&template(), &values).html;
            prop_assert_eq!(html.matches('<').count(), 2);
            prop_assert_eq!(html.matches('"').count(), 2);
        }
    }
}
