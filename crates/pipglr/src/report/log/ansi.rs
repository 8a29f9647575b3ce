//! What a terminal would show of one line, as text with classes.

use super::escape::escape_into;
use anstyle_parse::{Params, Parser, Perform};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A line is cut after this many characters; browsers do not like longer ones.
const LONGEST_LINE: usize = 8_000;

/// Colours of the 256-colour palette beyond the sixteen the page's style names.
pub(crate) type Palette = BTreeSet<u8>;

/// How characters look. It lasts over the ends of lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Style {
    foreground: Option<u8>,
    background: Option<u8>,
    bold: bool,
    faint: bool,
    italic: bool,
    underline: bool,
    struck: bool,
    inverse: bool,
}

impl Style {
    /// Class names, with a space before each.
    fn classes(self) -> String {
        let mut classes = String::new();
        let (front, back) = if self.inverse {
            (self.background, self.foreground)
        } else {
            (self.foreground, self.background)
        };
        if self.inverse && (front.is_none() || back.is_none()) {
            classes.push_str(" inv");
        }
        for (letter, colour) in [('f', front), ('b', back)] {
            if let Some(colour) = colour {
                let _ = write!(classes, " {letter}{colour}");
            }
        }
        let flags = [
            (self.bold, " bo"),
            (self.faint, " fa"),
            (self.italic, " it"),
            (self.underline, " un"),
            (self.struck, " st"),
        ];
        classes.extend(flags.iter().filter(|(is, _)| *is).map(|(_, name)| *name));
        classes
    }
}

/// Paints lines one after another.
#[derive(Debug, Default)]
pub(super) struct Painter {
    style: Style,
    palette: Palette,
}

impl Painter {
    /// HTML of one line without its end.
    pub(super) fn line(&mut self, bytes: &[u8]) -> String {
        // A sequence that does not end hides its line and no more.
        let mut parser = Parser::<anstyle_parse::DefaultCharAccumulator>::new();
        let mut line = Line {
            style: self.style,
            cells: Vec::new(),
            too_long: 0,
            returned: false,
        };
        for byte in String::from_utf8_lossy(bytes).bytes() {
            parser.advance(&mut line, byte);
        }
        self.style = line.style;
        self.html(&line)
    }

    /// The colours used so far.
    pub(super) fn into_palette(self) -> Palette {
        self.palette
    }

    fn html(&mut self, line: &Line) -> String {
        let mut html = String::with_capacity(line.cells.len() + 16);
        let mut text = String::new();
        for run in line.cells.chunk_by(|a, b| a.1 == b.1) {
            text.clear();
            text.extend(run.iter().map(|(c, _)| *c));
            let style = run[0].1;
            let classes = style.classes();
            if classes.is_empty() {
                escape_into(&mut html, &text);
                continue;
            }
            self.palette.extend(
                [style.foreground, style.background]
                    .into_iter()
                    .flatten()
                    .filter(|c| *c > 15),
            );
            let _ = write!(html, "<span class=\"{}\">", &classes[1..]);
            escape_into(&mut html, &text);
            html.push_str("</span>");
        }
        if line.too_long > 0 {
            let _ = write!(html, "<i class=cut>… {} characters more</i>", line.too_long);
        }
        html
    }
}

struct Line {
    style: Style,
    cells: Vec<(char, Style)>,
    too_long: usize,
    /// The cursor is at the beginning: what comes replaces the line.
    returned: bool,
}

impl Line {
    fn clear(&mut self) {
        self.cells.clear();
        self.too_long = 0;
        self.returned = false;
    }

    fn put(&mut self, c: char) {
        if self.returned {
            self.clear();
        }
        if self.cells.len() < LONGEST_LINE {
            self.cells.push((c, self.style));
        } else {
            self.too_long += 1;
        }
    }

    /// Select graphic rendition.
    fn select(&mut self, params: &Params) {
        // `38;5;n` and `38:5:n` are both in use.
        let mut codes = params.iter().flat_map(|group| group.iter().copied());
        while let Some(code) = codes.next() {
            match code {
                0 => self.style = Style::default(),
                1 => self.style.bold = true,
                2 => self.style.faint = true,
                3 => self.style.italic = true,
                4 => self.style.underline = true,
                7 => self.style.inverse = true,
                9 => self.style.struck = true,
                22 => (self.style.bold, self.style.faint) = (false, false),
                23 => self.style.italic = false,
                24 => self.style.underline = false,
                27 => self.style.inverse = false,
                29 => self.style.struck = false,
                38 => self.style.foreground = extended(&mut codes).or(self.style.foreground),
                48 => self.style.background = extended(&mut codes).or(self.style.background),
                39 => self.style.foreground = None,
                49 => self.style.background = None,
                30..=37 => self.style.foreground = indexed(code - 30),
                40..=47 => self.style.background = indexed(code - 40),
                90..=97 => self.style.foreground = indexed(code - 82),
                100..=107 => self.style.background = indexed(code - 92),
                // Concealed text stays readable; the rest has no counterpart here.
                _ => {}
            }
        }
    }
}

impl Perform for Line {
    fn print(&mut self, c: char) {
        if !c.is_control() {
            self.put(c);
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\t' => self.put('\t'),
            b'\r' => self.returned = true,
            0x08 => {
                self.cells.pop();
            }
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _ignore: bool, action: u8) {
        let first = params
            .iter()
            .next()
            .and_then(|group| group.first().copied())
            .unwrap_or(0);
        match (action, intermediates) {
            (b'm', []) => self.select(params),
            // Erase: from the cursor on, or all.
            (b'K', []) if first == 2 || self.returned => self.clear(),
            _ => {}
        }
    }
}

fn indexed(code: u16) -> Option<u8> {
    u8::try_from(code).ok()
}

/// What follows 38 and 48: a colour of the palette, or one of 16 million as its nearest neighbour there.
fn extended(codes: &mut impl Iterator<Item = u16>) -> Option<u8> {
    match codes.next()? {
        5 => indexed(codes.next()?),
        2 => {
            let mut step = || Some((codes.next()?.min(255) * 5 + 127) / 255);
            let (red, green, blue) = (step()?, step()?, step()?);
            indexed(16 + 36 * red + 6 * green + blue)
        }
        _ => None,
    }
}

/// `#rrggbb` of a colour of the palette from 16 on.
pub(crate) fn palette_colour(index: u8) -> String {
    if index >= 232 {
        let grey = 8 + 10 * (index - 232);
        return format!("#{grey:02x}{grey:02x}{grey:02x}");
    }
    let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
    let cube = index.saturating_sub(16);
    format!(
        "#{:02x}{:02x}{:02x}",
        level(cube / 36),
        level(cube / 6 % 6),
        level(cube % 6)
    )
}

#[cfg(test)]
mod tests {
    use super::{Painter, palette_colour};

    #[test]
    fn lines_are_painted_as_terminals_do() {
        for (line, html) in [
            ("plain", "plain"),
            ("a<b>&\"'", "a&lt;b&gt;&amp;&quot;&#39;"),
            ("\x1b[31mred\x1b[0m not", "<span class=\"f1\">red</span> not"),
            ("\x1b[1;92mok\x1b[m", "<span class=\"f10 bo\">ok</span>"),
            ("\x1b[38;5;208mo\x1b[39m", "<span class=\"f208\">o</span>"),
            ("\x1b[38:5:208mo\x1b[39m", "<span class=\"f208\">o</span>"),
            ("\x1b[48;2;255;0;0mx\x1b[49m", "<span class=\"b196\">x</span>"),
            ("\x1b[31;7mx\x1b[0m", "<span class=\"inv b1\">x</span>"),
            ("10%\r20%\rdone", "done"),
            ("long\r\x1b[0Kx", "x"),
            ("kept\r", "kept"),
            ("\x1b[0Ktitle", "title"),
            ("ab\x08c", "ac"),
            ("\x1b]0;title\x07text\x1b[2Jand\x1b[10;10Hmore", "textandmore"),
            ("\x1b]8;;https://x/\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\x1b]52;c;never ends", ""),
            ("\0bell\x07\x7f\u{9b}31m", "bell31m"),
        ] {
            assert_eq!(Painter::default().line(line.as_bytes()), html, "{line:?}");
        }
    }

    #[test]
    fn a_colour_lasts_until_it_is_reset() {
        let mut painter = Painter::default();
        assert_eq!(painter.line(b"\x1b[32mone"), "<span class=\"f2\">one</span>");
        assert_eq!(painter.line(b"two\x1b[0m"), "<span class=\"f2\">two</span>");
        assert_eq!(painter.line(b"three"), "three");
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(Painter::default().line(b"a\xff\xc3b"), "a\u{fffd}\u{fffd}b");
    }

    #[test]
    fn very_long_lines_are_cut() {
        let html = Painter::default().line("x".repeat(10_000).as_bytes());
        assert!(html.ends_with("x<i class=cut>… 2000 characters more</i>"));
    }

    #[test]
    fn the_palette_is_that_of_terminals() {
        for (index, colour) in [(16, "#000000"), (196, "#ff0000"), (208, "#ff8700"), (255, "#eeeeee")] {
            assert_eq!(palette_colour(index), colour);
        }
    }
}
