//! Filling templates: every value once, escaped for the place where it stands. Templates have no logic.

use crate::html::{escape, text_of};
use crate::html_scanner::{Found, Place, Scanner};

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

/// The values of placeholders.
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

/// Fills HTML alone. In a link's or picture's address values are escaped as parts of an address (RFC 3986), and
/// `%LINK%` is the address itself.
#[must_use]
pub fn render_html(html: &str, values: &Values<'_>) -> String {
    let mut scanner = Scanner::default();
    let mut ignore = |_: &Scanner, _: Found| {};
    fill_scanned(html, |piece, into| match piece {
        Piece::Text(text) => {
            text.chars().for_each(|c| scanner.push(c, &mut ignore));
            into.push_str(text);
            true
        }
        Piece::Mark(name) => {
            let place = scanner.place();
            let is_address = matches!(scanner.attribute(), "href" | "src");
            let is_put = match (name, values.link, place) {
                ("LINK", Some(link), Place::Text) => {
                    into.push_str("<a href=\"");
                    escape(link.url, into);
                    into.push_str("\">");
                    escape(link.text, into);
                    into.push_str("</a>");
                    true
                }
                ("LINK", Some(link), _) => put(into, Some(link.url), escape),
                (_, _, Place::Value { .. }) if is_address => {
                    put(into, value_of(values, name), percent_encode)
                }
                (_, _, Place::Value { is_quoted: false }) => {
                    put(into, value_of(values, name), escape_unquoted)
                }
                _ => put(into, value_of(values, name), escape),
            };
            // No value can leave its place: it has the same effect as a letter.
            if is_put && place != Place::Text {
                scanner.push('x', &mut ignore);
            }
            is_put
        }
    })
}

/// Escapes a value in an attribute without quotation marks, where a space would end it.
fn escape_unquoted(value: &str, into: &mut String) {
    let mut escaped = String::with_capacity(value.len());
    escape(value, &mut escaped);
    for c in escaped.chars() {
        if c.is_whitespace() || matches!(c, '=' | '`') {
            into.push_str(&format!("&#{};", u32::from(c)));
        } else {
            into.push(c);
        }
    }
}

/// A value as a part of an address (RFC 3986 section 2.1).
#[must_use]
pub fn percent_encoded(value: &str) -> String {
    let mut into = String::with_capacity(value.len());
    percent_encode(value, &mut into);
    into
}

/// Everything but unreserved characters, the at sign and the slash, which mean nothing else in a query.
fn percent_encode(value: &str, into: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'@' | b'/') {
            into.push(char::from(byte));
        } else {
            into.push_str(&format!("%{byte:02X}"));
        }
    }
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

/// A piece of a template.
enum Piece<'t> {
    Text(&'t str),
    /// The name between two percent signs.
    Mark(&'t str),
}

/// Replaces placeholders from left to right. Replaced values are never scanned again.
fn fill(template: &str, replace: impl Fn(&str, &mut String) -> bool) -> String {
    fill_scanned(template, |piece, into| match piece {
        Piece::Text(text) => {
            into.push_str(text);
            true
        }
        Piece::Mark(name) => replace(name, into),
    })
}

/// The longest name of a mark, in bytes.
const LONGEST_MARK: usize = 16;

/// Hands out the pieces of a template in order. A mark that is not replaced is text.
fn fill_scanned(template: &str, mut put: impl FnMut(Piece<'_>, &mut String) -> bool) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('%') {
        put(Piece::Text(before), &mut filled);
        let end = after.bytes().take(LONGEST_MARK).position(|byte| byte == b'%');
        let mark = end.and_then(|end| Some((after.get(..end)?, after.get(end + 1..)?)));
        match mark.filter(|(name, _)| put(Piece::Mark(name), &mut filled)) {
            Some((_, end)) => rest = end,
            None => {
                put(Piece::Text("%"), &mut filled);
                rest = after;
            }
        }
    }
    put(Piece::Text(rest), &mut filled);
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

    #[test]
    fn sec_108_a_value_in_an_address_is_a_part_of_it() {
        let values = Values {
            app_name: "A & B",
            handle: "a&admin=1+x@example.com",
            code: Some("123456"),
            link: Some(Link { url: "https://s.example/?a=1&b=2", text: "Go" }),
        };
        let filled = |html: &str| render_html(html, &values);
        assert_eq!(
            filled("<a href=\"https://z/?u=%HANDLE%&ok=1\" title=\"%HANDLE%\">%HANDLE%</a>"),
            "<a href=\"https://z/?u=a%26admin%3D1%2Bx@example.com&ok=1\" title=\"a&amp;admin=1+x@example.com\">\
             a&amp;admin=1+x@example.com</a>"
        );
        assert_eq!(
            filled("<a class='x' href='%LINK%'>go</a>"),
            "<a class='x' href='https://s.example/?a=1&amp;b=2'>go</a>"
        );
        assert_eq!(filled("<a href=%LINK%>go</a>"), "<a href=https://s.example/?a=1&amp;b=2>go</a>");
        assert_eq!(filled("1 > 0 %LINK%"), "1 > 0 <a href=\"https://s.example/?a=1&amp;b=2\">Go</a>");
        assert_eq!(filled("<img src='/%APP_NAME%.png'>"), "<img src='/A%20%26%20B.png'>");
    }

    #[test]
    fn sec_108_quotation_marks_and_brackets_in_attributes_do_not_hide_an_address() {
        let values = Values { app_name: "A & B", handle: "a b=c", code: Some("1"), link: None };
        let filled = |html: &str| render_html(html, &values);
        assert_eq!(
            filled("<a title=\"it's > than\" href=\"https://z/?u=%APP_NAME%\">x</a>"),
            "<a title=\"it's > than\" href=\"https://z/?u=A%20%26%20B\">x</a>"
        );
        assert_eq!(filled("<a title='\"' href='%APP_NAME%'>"), "<a title='\"' href='A%20%26%20B'>");
        assert_eq!(filled("<p title=%HANDLE%>"), "<p title=a&#32;b&#61;c>");
        assert_eq!(filled("<p title=%HANDLE% id=1>"), "<p title=a&#32;b&#61;c id=1>");
        assert_eq!(filled("<!-- <a href='%HANDLE% -->%HANDLE%"), "<!-- <a href='a b=c -->a b=c");
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
