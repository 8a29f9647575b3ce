//! Replaces secret values in a byte stream by `[MASKED]`, across write boundaries and in linear time.
//!
//! Compat: gitlab-runner common/buildlogger: phrases, then URL parameters, then token prefixes, each filter reading what
//! the one before it wrote. There only the 15 shortest prefixes are masked; here all are.

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// What a secret is replaced by.
pub const MASK: &[u8] = b"[MASKED]";

/// Masks literal phrases, then URL parameters, then the rest of tokens that start with a known prefix.
#[derive(Debug, Clone)]
pub struct Masker {
    /// Longest first, each reading what the one before it wrote.
    phrases: Vec<Phrase>,
    url_parameters: RunMasker,
    prefixes: RunMasker,
}

impl Masker {
    /// Builds a masker for `phrases` (trimmed, empty ones dropped) and token `prefixes`, which stay visible.
    #[must_use]
    pub fn new<'a>(phrases: impl IntoIterator<Item = &'a str>, prefixes: &[String]) -> Self {
        let mut masker = Self {
            phrases: Vec::new(),
            url_parameters: RunMasker::url_parameters(),
            prefixes: RunMasker::token_prefixes(prefixes),
        };
        masker.add(phrases);
        masker
    }

    /// Masks further phrases from here on. What is held back must have been flushed.
    pub fn add<'a>(&mut self, phrases: impl IntoIterator<Item = &'a str>) {
        let known = std::mem::take(&mut self.phrases);
        let mut all: BTreeSet<Vec<u8>> = known.iter().map(|phrase| phrase.text.to_vec()).collect();
        let more = phrases.into_iter().map(str::trim).filter(|phrase| !phrase.is_empty());
        all.extend(more.map(|phrase| phrase.as_bytes().to_vec()));
        self.phrases = all.into_iter().map(Phrase::new).collect();
        self.phrases.sort_by_key(|phrase| std::cmp::Reverse(phrase.text.len()));
    }

    /// Appends the masked form of `input` to `out`; some bytes may be held back.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut bytes = input.to_vec();
        for phrase in &mut self.phrases {
            let mut masked = Vec::with_capacity(bytes.len());
            phrase.push(&bytes, &mut masked);
            bytes = masked;
        }
        self.runs(&bytes, out);
    }

    /// Releases what is held back.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        let mut bytes = Vec::new();
        for phrase in &mut self.phrases {
            let mut masked = Vec::new();
            phrase.push(&bytes, &mut masked);
            phrase.flush(&mut masked);
            bytes = masked;
        }
        self.runs(&bytes, out);
        self.url_parameters.reset();
        self.prefixes.reset();
    }

    /// Where this masker is in its stream.
    #[must_use]
    pub fn held(&self) -> Held {
        Held {
            phrases: self.phrases.iter().map(|phrase| phrase.matched).collect(),
            url_parameters: self.url_parameters.place.clone(),
            prefixes: self.prefixes.place.clone(),
        }
    }

    /// Goes on where another masker of the same secrets was.
    pub fn resume(&mut self, held: Held) {
        for (phrase, matched) in self.phrases.iter_mut().zip(held.phrases) {
            phrase.matched = matched.min(phrase.text.len() - 1);
        }
        self.url_parameters.resume(held.url_parameters);
        self.prefixes.resume(held.prefixes);
    }

    fn runs(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut bytes = Vec::with_capacity(input.len());
        self.url_parameters.push(input, &mut bytes);
        self.prefixes.push(&bytes, out);
    }
}

/// Where a masker is in its stream, to go on with later.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Held {
    /// How much of each phrase is held back.
    phrases: Vec<usize>,
    url_parameters: Place,
    prefixes: Place,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The lengths alone say how a secret goes on.
        f.write_str("[REDACTED]")
    }
}

/// Finds one phrase (Knuth, Morris and Pratt): what is held back is always the phrase's own beginning.
#[derive(Debug, Clone)]
struct Phrase {
    text: Arc<[u8]>,
    /// For each length of a match: the longest shorter one that ends at the same place.
    shorter: Arc<[usize]>,
    /// How much of the phrase the last bytes were.
    matched: usize,
}

impl Phrase {
    fn new(text: Vec<u8>) -> Self {
        let mut shorter = vec![0; text.len()];
        let mut length = 0;
        for at in 1..text.len() {
            while length > 0 && text[at] != text[length] {
                length = shorter[length - 1];
            }
            length += usize::from(text[at] == text[length]);
            shorter[at] = length;
        }
        Self {
            text: text.into(),
            shorter: shorter.into(),
            matched: 0,
        }
    }

    fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut rest = input;
        while let Some(&byte) = rest.first() {
            if self.matched == 0 {
                let plain = rest.iter().position(|&b| b == self.text[0]).unwrap_or(rest.len());
                out.extend_from_slice(&rest[..plain]);
                rest = &rest[plain..];
                if rest.is_empty() {
                    return;
                }
                self.matched = 1;
                rest = &rest[1..];
            } else if byte == self.text[self.matched] {
                self.matched += 1;
                rest = &rest[1..];
            } else {
                let shorter = self.shorter[self.matched - 1];
                out.extend_from_slice(&self.text[..self.matched - shorter]);
                self.matched = shorter;
                continue;
            }
            if self.matched == self.text.len() {
                out.extend_from_slice(MASK);
                self.matched = 0;
            }
        }
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.text[..self.matched]);
        self.matched = 0;
    }
}

/// Masks the run of characters that follows a trigger such as `glpat-` or `?private_token=`. Nothing is held back,
/// because triggers stay visible.
#[derive(Debug, Clone)]
struct RunMasker {
    triggers: Arc<DFA>,
    start: StateID,
    state: StateID,
    ends_run: fn(u8) -> bool,
    longest: usize,
    place: Place,
}

/// Where a [`RunMasker`] is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Place {
    run: Run,
    /// The last bytes outside of runs, as many as can be the beginning of a trigger.
    recent: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Run {
    #[default]
    Outside,
    /// Behind a trigger; nothing of the run was seen.
    Empty,
    /// The mask was written.
    Masked,
}

const URL_PARAMETERS: [&str; 6] = [
    "private_token",
    "authenticity_token",
    "rss_token",
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
];

impl RunMasker {
    fn url_parameters() -> Self {
        let triggers = URL_PARAMETERS.iter().flat_map(|p| [format!("?{p}="), format!("&{p}=")]);
        Self::new(triggers.collect(), true, |b| {
            matches!(b, b'?' | b'&') || b.is_ascii_whitespace() || b.is_ascii_control()
        })
    }

    fn token_prefixes(prefixes: &[String]) -> Self {
        let triggers = prefixes.iter().map(|p| p.trim().to_owned()).filter(|p| !p.is_empty());
        Self::new(triggers.collect(), false, |b| {
            !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'=' | b'-'))
        })
    }

    fn new(triggers: Vec<String>, ignore_case: bool, ends_run: fn(u8) -> bool) -> Self {
        let longest = triggers.iter().map(String::len).max().unwrap_or(0);
        let triggers = DFA::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(ignore_case)
            .build(&triggers)
            .expect("the words of a job payload fit an automaton");
        let start = triggers
            .start_state(Anchored::No)
            .expect("the automaton is built for unanchored searches");
        Self {
            triggers: Arc::new(triggers),
            start,
            state: start,
            ends_run,
            longest,
            place: Place::default(),
        }
    }

    fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        // Where the bytes begin that the automaton has seen since it last started anew.
        let mut since = 0;
        for (at, &byte) in input.iter().enumerate() {
            if self.place.run != Run::Outside {
                if !(self.ends_run)(byte) {
                    if self.place.run == Run::Empty {
                        out.extend_from_slice(MASK);
                        self.place.run = Run::Masked;
                    }
                    since = at + 1;
                    continue;
                }
                self.place.run = Run::Outside;
                since = at;
            }
            out.push(byte);
            self.state = self.triggers.next_state(Anchored::No, self.state, byte);
            if self.triggers.is_match(self.state) {
                self.place.run = Run::Empty;
                self.place.recent.clear();
                self.state = self.start;
                since = at + 1;
            }
        }
        self.place.recent.extend_from_slice(&input[since..]);
        let old = self.place.recent.len().saturating_sub(self.longest);
        self.place.recent.drain(..old);
    }

    fn reset(&mut self) {
        self.resume(Place::default());
    }

    fn resume(&mut self, place: Place) {
        let state = place.recent.iter().fold(self.start, |state, &byte| {
            self.triggers.next_state(Anchored::No, state, byte)
        });
        self.state = state;
        self.place = place;
    }
}

#[cfg(test)]
mod tests {
    use super::{MASK, Masker, URL_PARAMETERS};
    use proptest::prelude::*;

    fn run(masker: &Masker, chunks: &[&[u8]]) -> String {
        let mut masker = masker.clone();
        let mut out = Vec::new();
        for chunk in chunks {
            masker.push(chunk, &mut out);
        }
        masker.flush(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn masker(phrases: &[&str], prefixes: &[&str]) -> Masker {
        let prefixes: Vec<String> = prefixes.iter().map(|p| (*p).to_owned()).collect();
        Masker::new(phrases.iter().copied(), &prefixes)
    }

    // (name, phrases, input, output)
    const CASES: &[(&str, &[&str], &str, &str)] = &[
        ("a phrase", &["secret"], "a secret b", "a [MASKED] b"),
        ("one begins another", &["ab", "abc"], "xabcx ab", "x[MASKED]x [MASKED]"),
        ("one within another", &["abcd", "bc"], "abce", "a[MASKED]e"),
        ("the longer one first", &["abc", "bcde"], "abcde", "a[MASKED]"),
        ("a beginning in a beginning", &["aab"], "aaab", "a[MASKED]"),
        ("again and again", &["aa"], "aaaaa", "[MASKED][MASKED]a"),
        (
            "spaces around a phrase",
            &[" trimmed "],
            "is trimmed here",
            "is [MASKED] here",
        ),
        ("empty phrases", &["", " "], "nothing", "nothing"),
        ("several lines", &["line1\nline2"], "x line1\nline2 y", "x [MASKED] y"),
        ("a single character", &["x"], "axb", "a[MASKED]b"),
        ("the mask itself", &["secret", "MASK"], "secret", "[[MASKED]ED]"),
        ("an unfinished phrase", &["secret"], "a secre", "a secre"),
        ("not a text", &["caf\u{e9}"], "a caf\u{e9} b", "a [MASKED] b"),
        ("a token", &[], "token glpat-abc.DEF_1 end", "token glpat-[MASKED] end"),
        ("a prefix alone", &[], "glpat- glpat", "glpat- glpat"),
        ("a prefix after a prefix", &[], "glpat-glpat-x/y", "glpat-[MASKED]/y"),
        ("a cookie", &[], "_gitlab_session=0a; b", "_gitlab_session=[MASKED]; b"),
        (
            "URL parameters",
            &[],
            "u?private_token=abc&authenticity_token=d&x=1 &RSS_TOKEN=q",
            "u?private_token=[MASKED]&authenticity_token=[MASKED]&x=1 &RSS_TOKEN=[MASKED]",
        ),
        (
            "signed URL",
            &[],
            "h/?X-Amz-Credential=a%2Fb&X-Amz-Security-Token=t&X-Amz-Signature=0f\tx",
            "h/?X-Amz-Credential=[MASKED]&X-Amz-Security-Token=[MASKED]&X-Amz-Signature=[MASKED]\tx",
        ),
        ("no URL parameter", &[], "private_token=abc", "private_token=abc"),
        (
            "an empty URL parameter",
            &[],
            "?rss_token=&rss_token=b",
            "?rss_token=&rss_token=[MASKED]",
        ),
        (
            "a phrase in a parameter",
            &["pw"],
            "?rss_token=pw1",
            "?rss_token=[MASKED]",
        ),
    ];

    #[test]
    fn phrases_and_tokens_are_masked_wherever_the_stream_is_cut() {
        for (name, phrases, input, expected) in CASES {
            let masker = masker(phrases, &["glpat-", "_gitlab_session="]);
            let bytes = input.as_bytes();
            for cut in 0..=bytes.len() {
                assert_eq!(
                    &run(&masker, &[&bytes[..cut], &bytes[cut..]]),
                    expected,
                    "{name}: cut at {cut}"
                );
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(&run(&masker, &single), expected, "{name}: byte by byte");
        }
    }

    #[test]
    fn every_prefix_counts_however_many_there_are() {
        let names: Vec<String> = (0..40).map(|n| format!("prefix{n}-")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let input: String = names.iter().map(|name| format!("{name}s3cret ")).collect();
        let expected: String = names.iter().map(|name| format!("{name}[MASKED] ")).collect();
        assert_eq!(run(&masker(&[], &all), &[input.as_bytes()]), expected);
    }

    #[test]
    fn phrases_can_be_added_on_the_way() {
        let mut masker = masker(&["one"], &[]);
        let mut out = Vec::new();
        masker.push(b"one two ", &mut out);
        masker.add(["two", " ", "one"]);
        masker.push(b"one two", &mut out);
        masker.flush(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "[MASKED] two [MASKED] [MASKED]");
    }

    #[test]
    fn another_masker_goes_on_in_the_middle() {
        let fresh = masker(&["secret", "abcabd"], &["glpat-", "own_"]);
        let text = "secret abcabcabd glpat-xy own_z ?RSS_token=q&x sec";
        let whole = run(&fresh, &[text.as_bytes()]);
        for cut in 0..=text.len() {
            let (mut first, mut second) = (fresh.clone(), fresh.clone());
            let mut out = Vec::new();
            first.push(&text.as_bytes()[..cut], &mut out);
            let held = serde_json::to_string(&first.held()).unwrap();
            second.resume(serde_json::from_str(&held).unwrap());
            second.push(&text.as_bytes()[cut..], &mut out);
            second.flush(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), whole, "cut at {cut}");
        }
    }

    /// One phrase after the other, the longest first, over the whole text.
    fn naive_phrases(phrases: &[String], text: &str) -> String {
        let mut sorted: Vec<&str> = phrases.iter().map(|p| p.trim()).filter(|p| !p.is_empty()).collect();
        sorted.sort_unstable();
        sorted.dedup();
        sorted.sort_by_key(|p| std::cmp::Reverse(p.len()));
        let mask = std::str::from_utf8(MASK).unwrap();
        sorted
            .iter()
            .fold(text.to_owned(), |text, phrase| text.replace(phrase, mask))
    }

    /// Looks for the trigger that ends first, at every place anew.
    fn naive_runs(triggers: &[String], ends: fn(char) -> bool, ignore_case: bool, text: &str) -> String {
        let (mut out, mut rest) = (String::new(), text);
        loop {
            let searched = if ignore_case {
                rest.to_ascii_lowercase()
            } else {
                rest.to_owned()
            };
            let end = triggers
                .iter()
                .filter_map(|t| searched.find(t.as_str()).map(|at| at + t.len()))
                .min();
            let Some(end) = end else { return out + rest };
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            let run = rest.find(ends).unwrap_or(rest.len());
            out.push_str(if run > 0 { "[MASKED]" } else { "" });
            rest = &rest[run..];
        }
    }

    fn naive_urls(text: &str) -> String {
        let triggers: Vec<String> = URL_PARAMETERS
            .iter()
            .flat_map(|p| [format!("?{p}="), format!("&{p}=")])
            .collect();
        naive_runs(
            &triggers,
            |c| c == '?' || c == '&' || c.is_ascii_whitespace() || c.is_ascii_control(),
            true,
            text,
        )
    }

    fn naive_tokens(prefixes: &[&str], text: &str) -> String {
        let triggers: Vec<String> = prefixes.iter().map(|p| (*p).to_owned()).collect();
        naive_runs(
            &triggers,
            |c| !(c.is_ascii_alphanumeric() || "._=-".contains(c)),
            false,
            text,
        )
    }

    /// Cuts a text into pieces, at bytes.
    fn pieces<'a>(text: &'a str, cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        at.windows(2).map(|pair| &text.as_bytes()[pair[0]..pair[1]]).collect()
    }

    fn words(words: &'static [&'static str]) -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(words), 0..24).prop_map(|list| list.concat())
    }

    const PREFIXES: [&str; 4] = ["glpat-", "gl-", "own_", "wn"];

    proptest! {
        #[test]
        fn phrases_are_masked_as_the_naive_way_does(
            phrases in prop::collection::vec("[abM\\[ ]{0,5}", 0..5),
            text in "[abM\\[ \u{e9}]{0,40}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let list: Vec<&str> = phrases.iter().map(String::as_str).collect();
            let got = run(&masker(&list, &[]), &pieces(&text, &cuts));
            prop_assert_eq!(got, naive_phrases(&phrases, &text));
        }

        #[test]
        fn url_parameters_are_masked_as_the_naive_way_does(
            text in words(&["?", "&", "private_token=", "RSS_Token=", "x-amz-", "signature=", "a", "=", " ", "\n", "\u{e9}"]),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            prop_assert_eq!(run(&masker(&[], &[]), &pieces(&text, &cuts)), naive_urls(&text));
        }

        #[test]
        fn tokens_are_masked_as_the_naive_way_does(
            text in words(&["glpat-", "gl", "-", "pat", "own_", "o", "wn", "a", ".", "/", " ", "\u{e9}"]),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let got = run(&masker(&[], &PREFIXES), &pieces(&text, &cuts));
            prop_assert_eq!(got, naive_tokens(&PREFIXES, &text));
        }

        #[test]
        fn the_filters_read_what_the_one_before_wrote(
            phrases in prop::collection::vec("[a?=_-]{1,3}|glpat-|token", 0..4),
            text in words(&["?rss_", "token=", "glpat-", "own_", "a", "?", "=", " ", "MASKED"]),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let list: Vec<&str> = phrases.iter().map(String::as_str).collect();
            let got = run(&masker(&list, &PREFIXES), &pieces(&text, &cuts));
            prop_assert_eq!(got, naive_tokens(&PREFIXES, &naive_urls(&naive_phrases(&phrases, &text))));
        }
    }
}
