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

/// The plain text of an HTML message, for programs that show no HTML. It takes tags away in one pass and builds no
/// tree: nesting costs nothing.
#[must_use]
pub fn text_of(html: &str) -> String {
    const BREAKS: [&str; 9] = ["/p", "br", "br/", "/div", "/h1", "/h2", "/h3", "/li", "/tr"];
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        text.push_str(before);
        if !after.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!')) {
            text.push('<');
            rest = after;
            continue;
        }
        let Some((tag, behind)) = after.split_once('>') else {
            rest = "";
            break;
        };
        let name = tag.split_ascii_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        if BREAKS.contains(&name.as_str()) {
            text.push('\n');
        }
        // What stands in these is no text.
        rest = match name.as_str() {
            "style" => behind.split_once("</style").map_or("", |(_, end)| end),
            "script" => behind.split_once("</script").map_or("", |(_, end)| end),
            _ => behind,
        };
        if matches!(name.as_str(), "style" | "script") {
            rest = rest.split_once('>').map_or("", |(_, end)| end);
        }
    }
    text.push_str(rest);
    let text = text.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">");
    let text = text.replace("&quot;", "\"").replace("&#39;", "'").replace("&amp;", "&");
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if !(line.is_empty() && lines.last().is_none_or(|last| last.is_empty())) {
            lines.push(line);
        }
    }
    format!("{}\n", lines.join("\n").trim_end())
}

/// Whether a developer's HTML is nested so little that reading it costs what its length says: browsers, and those
/// who clean it, open formatting elements again in every paragraph.
#[must_use]
pub fn is_plain_enough(html: &str) -> bool {
    const FORMATTING: [&str; 14] =
        ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];
    const MOST_OPEN: usize = 50;
    let mut open = 0_usize;
    for after in html.split('<').skip(1) {
        let is_end = after.starts_with('/');
        let name = after.trim_start_matches('/');
        let name = name.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        if !FORMATTING.contains(&name.to_ascii_lowercase().as_str()) {
            continue;
        }
        open = if is_end { open.saturating_sub(1) } else { open + 1 };
        if open > MOST_OPEN {
            return false;
        }
    }
    true
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
        let html =
            "<style>p{}</style><div>a<br>b &lt;c&gt; 1 < 2</div><SCRIPT>x</script><p title='x'>%CODE%</p><";
        assert_eq!(text_of(html), "a\nb <c> 1 < 2\n%CODE%\n<\n");
    }

    #[test]
    fn html_that_costs_more_than_its_length_is_refused() {
        let nested: String = (0..2_000).map(|n| format!("<b a={n}>")).collect();
        let hostile = nested + &"<p>x".repeat(2_000);
        assert!(!is_plain_enough(&hostile));
        assert_eq!(text_of(&hostile).matches('x').count(), 2_000);
        let long =
            "<p><b>bold</b> and <a href='https://x.example'>a link</a><br><img src='data:x'></p>".repeat(500);
        assert!(is_plain_enough(&long));
        assert!(is_plain_enough("1 < 2 <<< <>"));
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
