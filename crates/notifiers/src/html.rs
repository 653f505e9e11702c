//! HTML of mails and pages: made of plain text, reduced to plain text, and cleaned where a developer wrote it.

use std::collections::HashSet;

use crate::html_scanner::{Found, scan};

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

/// The names of the marks that are filled in.
pub(crate) const MARKS: [&str; 4] = ["APP_NAME", "CODE", "HANDLE", "LINK"];

/// Replaces the percent signs of placeholders during the conversion to text.
const MARK: char = '\u{F8FE}';

/// The plain text of an HTML message, for programs that show no HTML. Only placeholders that are written literally in
/// the HTML are placeholders in the text: removing tags and decoding character references creates none. Takes linear
/// time.
#[must_use]
pub fn text_of(html: &str) -> String {
    text_with(html, ' ')
}

/// The same text for the search for addresses: a reference that HTML does not treat as a space joins the words around
/// it.
pub(crate) fn shown_text_of(html: &str) -> String {
    text_with(html, 'x')
}

/// `odd` replaces references to control characters and code points that programs decode differently.
fn text_with(html: &str, odd: char) -> String {
    let mut html = html.replace(MARK, " ");
    for name in MARKS {
        html = html.replace(&format!("%{name}%"), &format!("{MARK}{name}{MARK}"));
    }
    let mut text = marked_text_of(&html, odd);
    for name in MARKS {
        text = text
            .replace(&format!("%{name}"), &format!("% {name}"))
            .replace(&format!("{name}%"), &format!("{name} %"));
    }
    text.replace(MARK, "%")
}

fn marked_text_of(html: &str, odd: char) -> String {
    const BREAKS: [&str; 7] = ["p", "div", "h1", "h2", "h3", "li", "tr"];
    const LINK: &str = "\u{F8FE}link\u{F8FE}";
    let mut text = String::with_capacity(html.len());
    let (mut value, mut has_link) = (String::new(), false);
    scan(html, |scanner, found| match found {
        Found::Text(c) => text.push(c),
        Found::Attribute => value.clear(),
        Found::Value(c) => {
            value.push(c.to_ascii_lowercase());
            has_link |= scanner.tag() == "a" && c == MARK && value.ends_with(LINK);
        }
        Found::Tag => {
            if scanner.tag() == "br" || (scanner.is_end_tag() && BREAKS.contains(&scanner.tag())) {
                text.push('\n');
            } else if scanner.is_end_tag() && matches!(scanner.tag(), "td" | "th") {
                text.push(' ');
            }
            if std::mem::take(&mut has_link) {
                text.push_str("\u{F8FE}LINK\u{F8FE} ");
            }
        }
    });
    let text = decoded(&text, odd);
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if !(line.is_empty() && lines.last().is_none_or(|last| last.is_empty())) {
            lines.push(line);
        }
    }
    format!("{}\n", lines.join("\n").trim_end())
}

/// Decodes the character references of a text: the numeric ones, and the named ones that texts and addresses use. Each
/// is decoded once: results start no further reference.
fn decoded(text: &str, odd: char) -> String {
    const NAMED: [(&str, char); 10] = [
        ("nbsp", ' '),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("amp", '&'),
        ("sol;", '/'),
        ("period;", '.'),
        ("colon;", ':'),
        ("commat;", '@'),
        ("bsol;", '\\'),
    ];
    let mut pieces = text.split('&');
    let mut decoded = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let named = NAMED.iter().find_map(|(name, c)| Some((*c, piece.strip_prefix(name)?)));
        match named.or_else(|| numeric(piece, odd)) {
            Some((c, rest)) => {
                decoded.push(c);
                decoded.push_str(rest.strip_prefix(';').unwrap_or(rest));
            }
            None => {
                decoded.push('&');
                decoded.push_str(piece);
            }
        }
    }
    decoded
}

/// The character of a numeric reference, without its ampersand, and what follows its digits.
fn numeric(reference: &str, odd: char) -> Option<(char, &str)> {
    let reference = reference.strip_prefix('#')?;
    let (digits, radix) = match reference.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (reference, 10),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let (number, rest) = digits.split_at(end);
    let c = u32::from_str_radix(number, radix).ok().and_then(char::from_u32)?;
    Some(match c {
        '\t' | '\n' | '\r' | '\u{C}' | '\u{A0}' => (' ', rest),
        c if c.is_control() || c == MARK => (odd, rest),
        c => (c, rest),
    })
}

/// Why a developer's HTML cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableHtml {
    /// Elements lie too deep in one another: browsers, and those who clean it, open formatting elements again in every
    /// paragraph.
    #[error("the HTML is nested too deeply: at most 50 elements, 10 of them formatting")]
    TooDeep,
    /// More elements than any message has. Some parsers move elements about, at a cost of the square of their number.
    #[error("the HTML has more than {MOST_TAGS} tags")]
    TooManyTags,
    /// Parsers compare each attribute of a tag with all others.
    #[error("the HTML has a tag with more than {MOST_ATTRIBUTES} attributes")]
    TooManyAttributes,
    /// Parsers split text at these characters and join the pieces again, which takes quadratic time.
    #[error("the HTML has more than {MOST_PIECES} of the characters & and < and carriage returns")]
    TooManyPieces,
    /// Each `%LINK%` becomes an address of several hundred bytes.
    #[error("the HTML has more than {MOST_PLACEHOLDERS} placeholders")]
    TooManyPlaceholders,
}

const MOST_TAGS: usize = 6_000;
const MOST_ATTRIBUTES: usize = 50;
const MOST_PIECES: usize = 10_000;
const MOST_PLACEHOLDERS: usize = 100;

/// Checks that parsing a developer's HTML costs no more than its length suggests.
///
/// # Errors
/// [`UnusableHtml`].
pub fn check_html(html: &str) -> Result<(), UnusableHtml> {
    const FORMATTING: [&str; 14] =
        ["a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];
    const VOID: [&str; 9] = ["br", "hr", "img", "input", "link", "meta", "area", "col", "wbr"];
    // One of these ends the one before it.
    const SIBLINGS: [&str; 8] = ["p", "li", "td", "th", "tr", "dt", "dd", "option"];
    const MOST_FORMATTING: usize = 10;
    const MOST_OPEN: usize = 50;
    if html.bytes().filter(|byte| matches!(byte, b'&' | b'<' | b'\r')).count() > MOST_PIECES {
        return Err(UnusableHtml::TooManyPieces);
    }
    if html.matches('%').count() / 2 > MOST_PLACEHOLDERS {
        let marks = ["%CODE%", "%LINK%", "%HANDLE%", "%APP_NAME%"];
        if marks.iter().map(|mark| html.matches(mark).count()).sum::<usize>() > MOST_PLACEHOLDERS {
            return Err(UnusableHtml::TooManyPlaceholders);
        }
    }
    let mut open: Vec<String> = Vec::new();
    let (mut tags, mut attributes, mut wrong) = (0, 0, None);
    scan(html, |scanner, found| match found {
        Found::Text(_) | Found::Value(_) => {}
        _ if wrong.is_some() => {}
        Found::Attribute => {
            attributes += 1;
            if attributes > MOST_ATTRIBUTES {
                wrong = Some(UnusableHtml::TooManyAttributes);
            }
        }
        Found::Tag => {
            (tags, attributes) = (tags + 1, 0);
            let name = scanner.tag();
            if tags > MOST_TAGS {
                wrong = Some(UnusableHtml::TooManyTags);
            } else if VOID.contains(&name) {
            } else if scanner.is_end_tag() {
                if let Some(at) = open.iter().rposition(|known| known == name) {
                    open.truncate(at);
                }
            } else {
                if !(SIBLINGS.contains(&name) && open.last().is_some_and(|last| last == name)) {
                    open.push(name.to_owned());
                }
                let formatting = open.iter().filter(|name| FORMATTING.contains(&name.as_str())).count();
                if open.len() > MOST_OPEN || formatting > MOST_FORMATTING {
                    wrong = Some(UnusableHtml::TooDeep);
                }
            }
        }
    });
    wrong.map_or(Ok(()), Err)
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
        assert_eq!(text_of("<style>never ends"), "\n");
        assert_eq!(
            text_of("a&#160;b&#xe9;&#x1F511;&#38;#47;&#0;c &#; &#x110000;"),
            "a bé🔑&#47; c &#; &#x110000;\n"
        );
        assert_eq!(text_of("<tr><td>a</td><td>b</td></tr><tr><th>c"), "a b\nc\n");
    }

    #[test]
    fn sec_133_nothing_but_a_mark_becomes_a_mark() {
        assert_eq!(text_of("100%CODE%CODE% %LINK%%HANDLE%"), "100%CODE%CODE % %LINK%%HANDLE%\n");
        for html in [
            "&#37;CODE&#37;",
            "&#x25;CODE%",
            "%CO<b></b>DE%",
            "%CODE<!-- -->%",
            "&#37;CODE%LINK%",
            "%LINK%CODE&#37;",
            "&#63742;CODE&#xF8FE;",
            "\u{F8FE}CODE\u{F8FE}",
            "&amp;#37;CODE&amp;#37;",
        ] {
            assert!(!text_of(html).contains("%CODE%"), "{html}: {}", text_of(html));
        }
    }

    #[test]
    fn html_that_costs_more_than_its_length_is_refused() {
        let nested: String = (0..2_000).map(|n| format!("<b a={n}>")).collect();
        let hostile = nested + &"<p>x".repeat(2_000);
        assert!(check_html(&hostile).is_err());
        let unclosed: String = (0..1_500).map(|n| format!("<b id={n}></i>")).collect();
        for hostile in
            [unclosed, "<div>".repeat(60), "<ul><li>".repeat(40), "<b></q><!-- </b> -->".repeat(20)]
        {
            assert!(check_html(&hostile).is_err(), "{hostile:.40}");
        }
        check_html(&"<p>one<p>two<p>three".repeat(100)).unwrap();
        assert_eq!(text_of(&hostile).matches('x').count(), 2_000);
        let long =
            "<p><b>bold</b> and <a href='https://x.example'>a link</a><br><img src='data:x'></p>".repeat(500);
        check_html(&long).unwrap();
        check_html("1 < 2 <<< <>").unwrap();
    }

    #[test]
    fn sec_129_html_that_parsers_take_long_for_is_refused() {
        let attributes: String = (0..60).map(|n| format!("b{n} ")).collect();
        for (html, expected) in [
            (format!("<a {attributes}>x</a>"), UnusableHtml::TooManyAttributes),
            (format!("<table>{}", "<p>x</p>".repeat(4_000)), UnusableHtml::TooManyTags),
            ("%CODE%".repeat(101), UnusableHtml::TooManyPlaceholders),
            ("& ".repeat(60_000), UnusableHtml::TooManyPieces),
            ("&amp;".repeat(10_001), UnusableHtml::TooManyPieces),
            ("a\r".repeat(10_001), UnusableHtml::TooManyPieces),
            (format!("<a title=\"{}\">x</a>", "&".repeat(10_001)), UnusableHtml::TooManyPieces),
            ("1 < 2 ".repeat(10_001), UnusableHtml::TooManyPieces),
            ("<div>".repeat(51), UnusableHtml::TooDeep),
        ] {
            assert_eq!(check_html(&html), Err(expected), "{html:.40}");
        }
        check_html(&"100 % ".repeat(1_000)).unwrap();
        check_html(&"A&nbsp;&amp;&nbsp;B<br>\r\n".repeat(2_000)).unwrap();
        check_html(&format!("<table>{}</table>", "<tr><td>%CODE%</td></tr>".repeat(100))).unwrap();
    }

    /// What brought a whole server down: a text that quadratic scanners never finish.
    #[test]
    fn sec_129_angle_brackets_without_end_are_text() {
        for hostile in
            ["<".repeat(120_000) + ">", "<a ".repeat(40_000), "&".repeat(120_000), "<!--".repeat(30_000)]
        {
            let html = format!("%CODE%{hostile}");
            assert!(text_of(&html).starts_with("%CODE%"));
            let _ = check_html(&html);
        }
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
