//! A scanner of HTML: which characters are text, where tags start and end, and which attribute a position is in.
//!
//! It follows the tokenizer of the HTML standard (WHATWG HTML, section 13.2.5) for tags, attributes, comments and raw
//! text, in one pass: its cost is linear in the length of the input.

/// Names and values are kept up to this length, in bytes.
const LONGEST_NAME: usize = 32;

/// Elements whose content is not markup and is not shown as text.
const RAW: [&str; 8] = ["style", "script", "xmp", "iframe", "noembed", "noframes", "title", "textarea"];

/// A token of the scanner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A character of text.
    Text(char),
    /// A character of an attribute's value: see [`Scanner::tag`] and [`Scanner::attribute`].
    Value(char),
    /// An attribute's name has ended.
    Attribute,
    /// A tag is complete: see [`Scanner::tag`] and [`Scanner::is_end_tag`].
    Tag,
}

/// Where the next character will stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In text.
    Text,
    /// In an attribute's value, between quotation marks or not.
    Value { is_quoted: bool },
    /// Elsewhere: in a tag, a comment, a style sheet or a script.
    Elsewhere,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Data,
    TagOpen,
    EndTagOpen,
    TagName,
    BeforeName,
    AttributeName,
    AfterName,
    BeforeValue,
    Value(Option<char>),
    AfterValue,
    Declaration(u8),
    Comment(Comment),
    Bogus,
    Raw,
    RawOpen,
    RawEnd,
}

/// How far a comment has come on the way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comment {
    Start,
    StartDash,
    Inside,
    Dash,
    TwoDashes,
    TwoDashesBang,
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Scanner {
    state: State,
    tag: String,
    is_end_tag: bool,
    attribute: String,
    raw: Option<&'static str>,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            state: State::Data,
            tag: String::new(),
            is_end_tag: false,
            attribute: String::new(),
            raw: None,
        }
    }
}

fn remember(name: &mut String, c: char) {
    if name.len() < LONGEST_NAME {
        name.push(c.to_ascii_lowercase());
    }
}

impl Scanner {
    /// The name of the present tag, lower-cased.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// Whether the present tag is an end tag.
    pub(crate) fn is_end_tag(&self) -> bool {
        self.is_end_tag
    }

    /// The name of the present attribute, lower-cased.
    pub(crate) fn attribute(&self) -> &str {
        &self.attribute
    }

    /// Where the next character will stand.
    pub(crate) fn place(&self) -> Place {
        match self.state {
            State::Data | State::TagOpen => Place::Text,
            State::BeforeValue | State::Value(None) => Place::Value { is_quoted: false },
            State::Value(Some(_)) => Place::Value { is_quoted: true },
            _ => Place::Elsewhere,
        }
    }

    /// Looks at the next character.
    pub(crate) fn push(&mut self, c: char, found: &mut impl FnMut(&Self, Found)) {
        let is_blank = matches!(c, '\t' | '\n' | '\r' | '\x0c' | ' ');
        match self.state {
            State::Data => match c {
                '<' => self.state = State::TagOpen,
                _ => found(self, Found::Text(c)),
            },
            State::TagOpen => match c {
                _ if c.is_ascii_alphabetic() => self.begin_tag(c, false),
                '/' => self.state = State::EndTagOpen,
                '!' => self.state = State::Declaration(0),
                '?' => self.state = State::Bogus,
                '<' => found(self, Found::Text('<')),
                _ => {
                    self.state = State::Data;
                    found(self, Found::Text('<'));
                    found(self, Found::Text(c));
                }
            },
            State::EndTagOpen => match c {
                _ if c.is_ascii_alphabetic() => self.begin_tag(c, true),
                '>' => self.state = State::Data,
                _ => self.state = State::Bogus,
            },
            State::TagName => match c {
                '>' => self.end_tag(found),
                '/' => self.state = State::BeforeName,
                _ if is_blank => self.state = State::BeforeName,
                _ => remember(&mut self.tag, c),
            },
            State::BeforeName => match c {
                '>' => self.end_tag(found),
                '/' => {}
                _ if is_blank => {}
                _ => self.begin_name(c),
            },
            State::AttributeName => match c {
                '=' => self.end_name(State::BeforeValue, found),
                '>' | '/' => {
                    self.end_name(State::BeforeName, found);
                    self.push(c, found);
                }
                _ if is_blank => self.end_name(State::AfterName, found),
                _ => remember(&mut self.attribute, c),
            },
            State::AfterName => match c {
                '=' => self.state = State::BeforeValue,
                '>' => self.end_tag(found),
                '/' => self.state = State::BeforeName,
                _ if is_blank => {}
                _ => self.begin_name(c),
            },
            State::BeforeValue => match c {
                '"' | '\'' => self.state = State::Value(Some(c)),
                '>' => self.end_tag(found),
                _ if is_blank => {}
                _ => {
                    self.state = State::Value(None);
                    found(self, Found::Value(c));
                }
            },
            State::Value(quote) => match c {
                _ if quote == Some(c) => self.state = State::AfterValue,
                '>' if quote.is_none() => self.end_tag(found),
                _ if quote.is_none() && is_blank => self.state = State::BeforeName,
                _ => found(self, Found::Value(c)),
            },
            State::AfterValue => {
                self.state = State::BeforeName;
                self.push(c, found);
            }
            State::Declaration(dashes) => match (dashes, c) {
                (0, '-') => self.state = State::Declaration(1),
                (1, '-') => self.state = State::Comment(Comment::Start),
                (_, '>') => self.state = State::Data,
                _ => self.state = State::Bogus,
            },
            State::Comment(so_far) => {
                self.state = match (so_far, c) {
                    (Comment::Inside | Comment::Dash, '>') => State::Comment(Comment::Inside),
                    (_, '>') => State::Data,
                    (Comment::Start, '-') => State::Comment(Comment::StartDash),
                    (Comment::Inside | Comment::TwoDashesBang, '-') => State::Comment(Comment::Dash),
                    (_, '-') => State::Comment(Comment::TwoDashes),
                    (Comment::TwoDashes, '!') => State::Comment(Comment::TwoDashesBang),
                    _ => State::Comment(Comment::Inside),
                };
            }
            State::Bogus => {
                if c == '>' {
                    self.state = State::Data;
                }
            }
            State::Raw => {
                if c == '<' {
                    self.state = State::RawOpen;
                }
            }
            State::RawOpen => match c {
                '/' => {
                    self.tag.clear();
                    self.state = State::RawEnd;
                }
                '<' => {}
                _ => self.state = State::Raw,
            },
            State::RawEnd => {
                let is_over = is_blank || matches!(c, '/' | '>');
                if is_over && self.raw == Some(self.tag.as_str()) {
                    (self.is_end_tag, self.raw, self.state) = (true, None, State::BeforeName);
                    self.push(c, found);
                } else if c.is_ascii_alphabetic() {
                    remember(&mut self.tag, c);
                } else {
                    self.state = if c == '<' { State::RawOpen } else { State::Raw };
                }
            }
        }
    }

    /// The input has ended. A tag or comment that has not is nothing, as in a browser.
    pub(crate) fn end(&mut self, found: &mut impl FnMut(&Self, Found)) {
        if self.state == State::TagOpen {
            self.state = State::Data;
            found(self, Found::Text('<'));
        }
    }

    fn begin_tag(&mut self, c: char, is_end_tag: bool) {
        self.tag.clear();
        remember(&mut self.tag, c);
        (self.is_end_tag, self.state) = (is_end_tag, State::TagName);
    }

    fn end_tag(&mut self, found: &mut impl FnMut(&Self, Found)) {
        self.raw = RAW.into_iter().find(|raw| !self.is_end_tag && *raw == self.tag);
        self.state = if self.raw.is_some() { State::Raw } else { State::Data };
        found(self, Found::Tag);
    }

    fn begin_name(&mut self, c: char) {
        self.attribute.clear();
        remember(&mut self.attribute, c);
        self.state = State::AttributeName;
    }

    fn end_name(&mut self, next: State, found: &mut impl FnMut(&Self, Found)) {
        self.state = next;
        found(self, Found::Attribute);
    }
}

/// Scans a whole text.
pub(crate) fn scan(html: &str, mut found: impl FnMut(&Scanner, Found)) {
    let mut scanner = Scanner::default();
    html.chars().for_each(|c| scanner.push(c, &mut found));
    scanner.end(&mut found);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(html: &str) -> String {
        let mut shown = String::new();
        scan(html, |scanner, found| match found {
            Found::Text(c) => shown.push(c),
            Found::Value(c) => shown.push_str(&format!("{{{}.{}={c}}}", scanner.tag(), scanner.attribute())),
            Found::Attribute => {}
            Found::Tag if scanner.is_end_tag() => shown.push_str(&format!("[/{}]", scanner.tag())),
            Found::Tag => shown.push_str(&format!("[{}]", scanner.tag())),
        });
        shown
    }

    #[test]
    fn tags_attributes_comments_and_raw_text_are_told_apart() {
        for (html, expected) in [
            ("a<B>c</b >d", "a[b]c[/b]d"),
            ("1 < 2 <<p>x", "1 < 2 <[p]x"),
            ("<a HREF=x>", "{a.href=x}[a]"),
            ("<a href = \"x>\" title='\"'>", "{a.href=x}{a.href=>}{a.title=\"}[a]"),
            ("<a href='x'title=y/>", "{a.href=x}{a.title=y}{a.title=/}[a]"),
            ("<br/><img src>", "[br][img]"),
            ("a<!-- <b> -- > -->c<!-->d<!--->e", "acde"),
            ("<!doctype html>x<?php y>z</>w</ v>", "xzw"),
            ("<style>p > a</style >x<script></scrip></SCRIPT>y", "[style][/style]x[script][/script]y"),
            ("<!--x--!><b>y<!--!>z--!-->w", "[b]yw"),
            ("<!--x--!--><i><!-- --- -->v<!----->u", "[i]vu"),
            ("<textarea><a title=\"</textarea><b>x", "[textarea][/textarea][b]x"),
            ("a<b", "a"),
            ("a<", "a<"),
            ("a<!-- b", "a"),
            ("<style>never ends", "[style]"),
            (
                "<p title=\"never ends>",
                "{p.title=n}{p.title=e}{p.title=v}{p.title=e}{p.title=r}{p.title= }{p.title=e}{p.title=n}{p.title=d}{p.title=s}{p.title=>}",
            ),
        ] {
            assert_eq!(shown(html), expected, "{html}");
        }
    }

    proptest! {
        /// Each character is found at most once, or with the one before it: no input makes the scanner go back.
        #[test]
        fn sec_129_no_input_costs_more_than_its_length(
            pieces in proptest::collection::vec(
                prop_oneof![
                    Just("<"), Just(">"), Just("</"), Just("<!--"), Just("-->"), Just("--"), Just("\""), Just("'"),
                    Just("="), Just(" "), Just("&"), Just("&amp"), Just("<a href="), Just("<style>"), Just("</style"),
                    Just("<script"), Just("<!"), Just("<?"), Just("x"), Just("é"), Just("%LINK%"), Just("/"),
                ],
                0..200,
            )
        ) {
            let html = pieces.concat();
            let mut steps = 0;
            scan(&html, |_, _| steps += 1);
            prop_assert!(steps <= 2 * html.chars().count() + 1, "{} for {}", steps, html.len());
        }
    }
}
