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
    // Of the same length, so that places in one are places in the other.
    let lower = html.to_ascii_lowercase();
    // What does not come any more is not looked for again and again.
    let lasts = ["<", ">", "-->", "</style", "</script"].map(|what| (what, lower.rfind(what)));
    let find = |what: &str, from: usize| {
        let last = lasts.iter().find(|(known, _)| *known == what).and_then(|(_, last)| *last)?;
        if last < from { None } else { lower.get(from..)?.find(what).map(|at| from + at) }
    };
    let mut text = String::with_capacity(html.len());
    let mut at = 0;
    while let Some(start) = find("<", at) {
        text.push_str(html.get(at..start).unwrap_or_default());
        let after = lower.get(start + 1..).unwrap_or_default();
        if after.starts_with("!--") {
            at = find("-->", start).map_or(html.len(), |end| end + 3);
            continue;
        }
        let is_tag = after.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!'));
        let Some(end) = find(">", start).filter(|_| is_tag) else {
            text.push('<');
            at = start + 1;
            continue;
        };
        let tag = lower.get(start + 1..end).unwrap_or_default();
        let name = tag.split_ascii_whitespace().next().unwrap_or_default();
        if BREAKS.contains(&name) {
            text.push('\n');
        }
        if name == "a" && tag.contains("%link%") {
            text.push_str("%LINK% ");
        }
        // What stands in these is no text.
        let closing = match name {
            "style" => find("</style", end),
            "script" => find("</script", end),
            _ => None,
        };
        at = closing.and_then(|closing| find(">", closing)).unwrap_or(end) + 1;
    }
    text.push_str(html.get(at..).unwrap_or_default());
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
/// who clean it, open formatting elements again in every paragraph. An end closes only what is open.
#[must_use]
pub fn is_plain_enough(html: &str) -> bool {
    const FORMATTING: [&str; 14] =
        ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];
    const VOID: [&str; 9] = ["br", "hr", "img", "input", "link", "meta", "area", "col", "wbr"];
    // One of these ends the one before it.
    const SIBLINGS: [&str; 8] = ["p", "li", "td", "th", "tr", "dt", "dd", "option"];
    const MOST_FORMATTING: usize = 10;
    const MOST_OPEN: usize = 50;
    let mut open: Vec<String> = Vec::new();
    let mut rest = html;
    while let Some((_, after)) = rest.split_once('<') {
        rest = after;
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, end)| end);
            continue;
        }
        let (is_end, named) = after.strip_prefix('/').map_or((false, after), |named| (true, named));
        let name = named.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        let name = name.to_ascii_lowercase();
        if name.is_empty() || VOID.contains(&name.as_str()) {
            continue;
        }
        if is_end {
            if let Some(at) = open.iter().rposition(|known| *known == name) {
                open.truncate(at);
            }
            continue;
        }
        if !(SIBLINGS.contains(&name.as_str()) && open.last() == Some(&name)) {
            open.push(name);
        }
        let formatting = open.iter().filter(|name| FORMATTING.contains(&name.as_str())).count();
        if open.len() > MOST_OPEN || formatting > MOST_FORMATTING {
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
        let html =
            "<!-- <b>x</b> --><STYLE>p{}</STYLE><P>code %CODE%</P><script>x</SCRIPT><a href='%LINK%'>go</a>";
        assert_eq!(text_of(html), "code %CODE%\n%LINK% go\n");
        assert_eq!(text_of("<style>never ends"), "never ends\n");
    }

    #[test]
    fn html_that_costs_more_than_its_length_is_refused() {
        let nested: String = (0..2_000).map(|n| format!("<b a={n}>")).collect();
        let hostile = nested + &"<p>x".repeat(2_000);
        assert!(!is_plain_enough(&hostile));
        let unclosed: String = (0..1_500).map(|n| format!("<b id={n}></i>")).collect();
        for hostile in
            [unclosed, "<div>".repeat(60), "<ul><li>".repeat(40), "<b></q><!-- </b> -->".repeat(20)]
        {
            assert!(!is_plain_enough(&hostile), "{hostile:.40}");
        }
        assert!(is_plain_enough(&"<p>one<p>two<p>three".repeat(100)));
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
