//! HTML of mails and pages: made of plain text, reduced to plain text, and cleaned where a developer wrote it.

use std::collections::HashSet;

/// The HTML of a plain text: paragraphs at empty lines. Marks stay marks.
pub(crate) fn html_of(text: &str) -> String {
    let mut html = String::new();
    for paragraph in text.split("\n\n") {
        let mut line = String::new();
        escape(paragraph.trim(), &mut line);
        html.push_str(&format!("<p>{}</p>\n", line.replace("%CODE%", "<strong>%CODE%</strong>")));
    }
    html
}

/// The plain text of an HTML message, for programs that show no HTML.
#[must_use]
pub fn text_of(html: &str) -> String {
    const BREAKS: [&str; 8] = ["</p>", "<br>", "<br/>", "<br />", "</div>", "</h1>", "</h2>", "</li>"];
    let mut broken = html.to_owned();
    for mark in BREAKS {
        broken = broken.replace(mark, &format!("{mark}\n"));
    }
    let text = ammonia::Builder::empty().clean(&broken).to_string();
    let text = text.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if !(line.is_empty() && lines.last().is_none_or(|last| last.is_empty())) {
            lines.push(line);
        }
    }
    format!("{}\n", lines.join("\n").trim_end())
}

/// A developer's HTML without anything that runs, submits or loads: no scripts, forms, frames or event
/// handlers; pictures only if they are in the page itself; links to the web and to mail.
#[must_use]
pub fn cleaned(html: &str) -> String {
    let mut builder = ammonia::Builder::default();
    builder
        .url_schemes(HashSet::from(["http", "https", "mailto", "data"]))
        .add_generic_attributes(["style", "align"])
        .filter_style_properties(HashSet::from([
            "color",
            "background-color",
            "font-size",
            "font-weight",
            "font-family",
            "font-style",
            "text-align",
            "text-decoration",
            "margin",
            "padding",
            "border",
            "width",
            "max-width",
            "line-height",
        ]))
        .attribute_filter(|element, attribute, value| {
            let is_data =
                value.trim_start().get(..5).is_some_and(|start| start.eq_ignore_ascii_case("data:"));
            let is_loaded = element == "img" && attribute == "src";
            (!matches!(attribute, "src" | "href") || is_data == is_loaded).then(|| value.into())
        });
    builder.clean(html).to_string()
}

/// Escapes a value for text and attributes of HTML.
pub(crate) fn escape(value: &str, into: &mut String) {
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

/// A value, escaped for text and attributes of HTML.
#[must_use]
pub fn escaped(value: &str) -> String {
    let mut into = String::with_capacity(value.len());
    escape(value, &mut into);
    into
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_paragraphs_and_back() {
        let html = html_of("Hello,\n\nyour code is %CODE% & more\n");
        assert_eq!(html, "<p>Hello,</p>\n<p>your code is <strong>%CODE%</strong> &amp; more</p>\n");
        assert_eq!(text_of(&html), "Hello,\n\nyour code is %CODE% & more\n");
        assert_eq!(text_of("<style>p{}</style><div>a<br>b &lt;c&gt;</div><script>x</script>"), "a\nb <c>\n");
    }

    #[test]
    fn sec_076_a_developers_html_runs_submits_and_loads_nothing() {
        let hostile = r#"<h1 onclick="x()" style="color:red;background:url(https://e.example/a)">Hi</h1>
            <script>alert(1)</script><form action="https://e.example"><input name="p"></form>
            <img src="https://e.example/p.png"><img src="data:image/png;base64,AAAA" onerror="x()">
            <a href="javascript:alert(1)">j</a><a href="https://shop.example">s</a><a href="data:text/html,x">d</a>
            <iframe src="https://e.example"></iframe><link rel="stylesheet" href="https://e.example/s.css">
            <meta http-equiv="refresh" content="0;https://e.example"><svg onload="x()"></svg><base href="https://e.example">"#;
        let clean = cleaned(hostile);
        for gone in [
            "script",
            "onclick",
            "onerror",
            "onload",
            "javascript",
            "form",
            "input",
            "iframe",
            "link rel",
            "meta",
            "base",
            "e.example",
            "data:text",
            "svg",
        ] {
            assert!(!clean.replace("base64", "").contains(gone), "{gone} in {clean}");
        }
        for kept in ["<h1 style=\"color:red\">Hi</h1>", "data:image/png;base64,AAAA", "https://shop.example"]
        {
            assert!(clean.contains(kept), "{kept} in {clean}");
        }
    }
}
