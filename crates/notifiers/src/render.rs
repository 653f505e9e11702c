//! Filling templates: every value once, escaped for the place where it stands. Templates have no logic.

/// A message before its values are filled in. Marks are `%CODE%`, `%HANDLE%` and `%APP_NAME%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Template<'a> {
    /// The subject: only `%APP_NAME%` is filled in.
    pub subject: &'a str,
    /// The message as plain text.
    pub text: &'a str,
    /// The message as HTML.
    pub html: &'a str,
}

/// What is filled in.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// The application's name.
    pub app_name: &'a str,
    /// Whom the message is about.
    pub handle: &'a str,
    /// The code, if it carries one.
    pub code: Option<&'a str>,
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
pub fn render(template: Template<'_>, values: &Values<'_>) -> Rendered {
    let subject = fill(template.subject, |name| (name == "APP_NAME").then_some(values.app_name), plain);
    let all = |name: &str| match name {
        "APP_NAME" => Some(values.app_name),
        "HANDLE" => Some(values.handle),
        "CODE" => values.code,
        _ => None,
    };
    Rendered {
        subject: subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        text: fill(template.text, all, plain),
        html: fill(template.html, all, escape_html),
    }
}

/// Replaces marks from left to right. What a value brings in is never looked at again.
fn fill<'v>(
    template: &str,
    value_of: impl Fn(&str) -> Option<&'v str>,
    escape: fn(&str, &mut String),
) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('%') {
        filled.push_str(before);
        let mark = after.split_once('%').and_then(|(name, end)| Some((value_of(name)?, end)));
        if let Some((value, end)) = mark {
            escape(value, &mut filled);
            rest = end;
        } else {
            filled.push('%');
            rest = after;
        }
    }
    filled.push_str(rest);
    filled
}

fn plain(value: &str, into: &mut String) {
    into.push_str(value);
}

fn escape_html(value: &str, into: &mut String) {
    for c in value.chars() {
        match c {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\'' => into.push_str("&#39;"),
            _ => into.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEMPLATE: Template<'_> = Template {
        subject: "For %APP_NAME% %CODE%",
        text: "100% of %HANDLE%: %CODE% %NOTHING% %",
        html: "<p title=\"%HANDLE%\">%APP_NAME% %CODE%</p>",
    };

    #[test]
    fn values_are_filled_in_once_and_escaped() {
        let values = Values { app_name: "%CODE%\r\n<b>", handle: "\"'&<x>@y", code: Some("123456") };
        let rendered = render(TEMPLATE, &values);
        assert_eq!(rendered.subject, "For %CODE%  <b> %CODE%");
        assert_eq!(rendered.text, "100% of \"'&<x>@y: 123456 %NOTHING% %");
        assert_eq!(rendered.html, "<p title=\"&quot;&#39;&amp;&lt;x&gt;@y\">%CODE%\r\n&lt;b&gt; 123456</p>");
    }

    proptest! {
        #[test]
        fn no_value_becomes_markup(app_name in "\\PC{0,30}", handle in "\\PC{0,30}") {
            let html = render(TEMPLATE, &Values { app_name: &app_name, handle: &handle, code: None }).html;
            prop_assert_eq!(html.matches('<').count(), 2);
            prop_assert_eq!(html.matches('"').count(), 2);
        }
    }
}
