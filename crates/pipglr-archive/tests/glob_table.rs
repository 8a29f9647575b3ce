//! Patterns against paths, in doublestar's semantics.

use pipglr_archive::glob::{Pattern, Problem};

/// Pattern, path, whether it matches.
const ROWS: &[(&str, &str, bool)] = &[
    // Literals.
    ("", "", true),
    ("", "a", false),
    ("a", "", false),
    ("log", "log", true),
    ("log", "Log", false),
    ("log", "logs", false),
    ("logs", "log", false),
    ("out/app", "out/app", true),
    ("out/app", "out", false),
    ("out", "out/app", false),
    ("out/", "out", false),
    ("out/", "out/", true),
    ("/out", "/out", true),
    ("/out", "out", false),
    ("grüße.txt", "grüße.txt", true),
    ("a,b", "a,b", true),
    ("a]b", "a]b", true),
    ("a-b!c^", "a-b!c^", true),
    // One star.
    ("*", "", true),
    ("*", "a", true),
    ("*", ".hidden", true),
    ("*", "a/b", false),
    ("*", "/", false),
    ("*.o", "main.o", true),
    ("*.o", ".o", true),
    ("*.o", "main.c", false),
    ("*.o", "src/main.o", false),
    ("m*n", "mn", true),
    ("m*n", "main", true),
    ("m*n", "mainly", false),
    ("a*", "a", true),
    ("*/*", "a/b", true),
    ("*/*", "a", false),
    ("*/*", "a/b/c", false),
    ("*/", "a/", true),
    ("*/", "a", false),
    ("a/*", "a/", true),
    ("a/*", "a", false),
    ("a/*/c", "a/b/c", true),
    ("a/*/c", "a//c", true),
    ("a/*/c", "a/c", false),
    ("a/*/c", "a/b/b/c", false),
    ("*a*b*", "xaybz", true),
    ("*a*b*", "ba", false),
    ("a*b*c*d", "abxbcxcdxd", true),
    ("a*b*c*d", "abxbcxcdxe", false),
    ("*☃*", "ab☃cd", true),
    // Two stars as a whole component.
    ("**", "", true),
    ("**", "a", true),
    ("**", "a/b/c", true),
    ("**", ".git/config", true),
    ("**/", "", true),
    ("**/", "a", false),
    ("**/", "a/", true),
    ("**/", "a/b/", true),
    ("**/a", "a", true),
    ("**/a", "x/a", true),
    ("**/a", "x/y/a", true),
    ("**/a", "xa", false),
    ("**/a", "x/ya", false),
    ("**/a", "a/b", false),
    ("**/a/b", "a/b", true),
    ("**/a/b", "a/a/b", true),
    ("**/a/b", "a/x/b", false),
    ("**/*", "a", true),
    ("**/*", "a/b", true),
    ("**/*.txt", "n.txt", true),
    ("**/*.txt", "d/e/n.txt", true),
    ("**/*.txt", "d/e/n.txt/x", false),
    ("**/.env", "x/.env", true),
    ("a/**", "a", true),
    ("a/**", "a/", true),
    ("a/**", "a/b", true),
    ("a/**", "a/b/c", true),
    ("a/**", "ab", false),
    ("a/**", "b/a", false),
    ("a/**/", "a", true),
    ("a/**/", "a/", true),
    ("a/**/", "a/b", false),
    ("a/**/", "a/b/", true),
    ("a/**/b", "a/b", true),
    ("a/**/b", "a/x/b", true),
    ("a/**/b", "a/x/y/b", true),
    ("a/**/b", "a/xb", false),
    ("a/**/b", "ab", false),
    ("a/**/b/**/c", "a/b/c", true),
    ("a/**/b/**/c", "a/1/b/2/3/c", true),
    ("a/**/b/**/c", "a/1/2/3/c", false),
    ("a/**/*.c", "a/b.c", true),
    ("a/**/*.c", "a/.c/b.c", true),
    ("a/**/*/b", "a/b", false),
    ("a/**/*/b", "a/x/b", true),
    ("a/*/**", "a", false),
    ("a/*/**", "a/b", true),
    ("a/*/**", "a/b/c", true),
    ("**/**/a", "a", true),
    ("**/**/a", "x/a", true),
    ("**/**", "a/b", true),
    ("/**", "/a/b", true),
    ("/**", "a", false),
    // Two stars that are not a component are one star.
    ("a/**.txt", "a/n.txt", true),
    ("a/**.txt", "a/b/n.txt", false),
    ("**.txt", "n.txt", true),
    ("**.txt", "d/n.txt", false),
    ("a**", "abc", true),
    ("a**", "a/b", false),
    ("a**/b", "ax/b", true),
    ("a**/b", "a/x/b", false),
    ("**a/b", "xa/b", true),
    ("**a/b", "x/a/b", false),
    ("***", "a", true),
    ("***", "a/b", false),
    ("a/***/b", "a/x/b", true),
    ("a/***/b", "a/x/y/b", false),
    // Question mark: one character, whatever its length in bytes.
    ("?", "a", true),
    ("?", "", false),
    ("?", "ab", false),
    ("?", "/", false),
    ("?", ".", true),
    ("?", "é", true),
    ("?", "☃", true),
    ("??", "☃", false),
    ("a?c", "abc", true),
    ("a?c", "a/c", false),
    ("a?c", "ac", false),
    ("?*", "a", true),
    ("?*", "", false),
    // Classes.
    ("[abc]", "b", true),
    ("[abc]", "d", false),
    ("[abc]", "bb", false),
    ("[a-c]x", "bx", true),
    ("[a-c]x", "dx", false),
    ("[a-c0-9]", "7", true),
    ("[!a]", "b", true),
    ("[!a]", "a", false),
    ("[^a-c]", "d", true),
    ("[^a-c]", "b", false),
    ("[!a]", "☃", true),
    ("[^a]", "é", true),
    ("[α-ω]", "λ", true),
    ("[α-ω]", "l", false),
    ("[a-]", "-", true),
    ("[-a]", "-", true),
    ("[-a]", "a", true),
    ("[a!]", "!", true),
    ("[a-c-e]", "-", true),
    ("[a-c-e]", "d", false),
    ("[c-a]", "b", false),
    ("[\\]]", "]", true),
    ("[a\\-c]", "b", false),
    ("[a\\-c]", "-", true),
    ("[\\a-\\c]", "b", true),
    ("[\\\\]", "\\", true),
    ("[*?{]", "*", true),
    ("[*?{]", "a", false),
    ("[,}]", "}", true),
    ("[.]git", ".git", true),
    ("x[!a]y", "x/y", true),
    ("[a]*", "abc", true),
    ("**/[a-b]/c", "x/b/c", true),
    // Braces.
    ("{a,b}", "a", true),
    ("{a,b}", "b", true),
    ("{a,b}", "c", false),
    ("{a,b}", "a,b", false),
    ("{a}", "a", true),
    ("{}", "", true),
    ("x{,y}", "x", true),
    ("x{,y}", "xy", true),
    ("x{,y}z", "xz", true),
    ("*.{c,h}", "m.h", true),
    ("*.{c,h}", "m.o", false),
    ("{a,b}{c,d}", "bc", true),
    ("{a,b}{c,d}", "ab", false),
    ("{a,{b,c}d}", "cd", true),
    ("{a,{b,c}d}", "ad", false),
    ("{a/b,c}/d", "a/b/d", true),
    ("{a/b,c}/d", "a/d", false),
    ("{src/**,doc}/*.md", "src/a/b/x.md", true),
    ("{src/**,doc}/*.md", "doc/x.md", true),
    ("{src/**,doc}/*.md", "doc/a/x.md", false),
    ("{**/,}x", "a/b/x", true),
    ("{**/,}x", "x", true),
    ("{*.o,bin/**}", "bin/a/b", true),
    ("a/{**,b}", "a/x/y", true),
    ("a{/**,}", "a", true),
    ("a{/**,}", "a/b/c", true),
    ("{a,b*}c", "bxxc", true),
    ("{[ab],c?}", "cx", true),
    ("{a\\,b,c}", "a,b", true),
    ("{a\\}b}", "a}b", true),
    // Escapes.
    ("\\*", "*", true),
    ("\\*", "a", false),
    ("\\?", "?", true),
    ("\\[a]", "[a]", true),
    ("\\{a,b\\}", "{a,b}", true),
    ("a\\b", "ab", true),
    ("a\\\\b", "a\\b", true),
    ("\\**", "*x", true),
    ("a\\/b", "a/b", true),
    ("\\é", "é", true),
];

#[test]
fn every_row_matches_as_stated() {
    assert!(ROWS.len() >= 120);
    for &(pattern, path, expected) in ROWS {
        let parsed = Pattern::parse(pattern).unwrap();
        assert_eq!(parsed.matches(path), expected, "{pattern:?} on {path:?}");
    }
}

#[test]
fn bad_patterns_name_the_position() {
    let rows = [
        ("[", 0, Problem::UnclosedClass),
        ("a[b", 1, Problem::UnclosedClass),
        ("é[!", 1, Problem::UnclosedClass),
        ("[a-", 0, Problem::UnclosedClass),
        ("[a\\]", 0, Problem::UnclosedClass),
        ("x[]", 1, Problem::EmptyClass),
        ("[!]a]", 0, Problem::EmptyClass),
        ("[^]", 0, Problem::EmptyClass),
        ("a/{b", 2, Problem::UnclosedBrace),
        ("{a,{b}", 0, Problem::UnclosedBrace),
        ("a}", 1, Problem::UnopenedBrace),
        ("{a}}", 3, Problem::UnopenedBrace),
        ("a\\", 1, Problem::TrailingEscape),
        ("{a\\", 2, Problem::TrailingEscape),
    ];
    for (pattern, position, problem) in rows {
        let error = Pattern::parse(pattern).unwrap_err();
        let found = (error.pattern.as_str(), error.position, error.problem);
        assert_eq!(found, (pattern, position, problem));
    }
    let deep = "{".repeat(65) + &"}".repeat(65);
    assert_eq!(Pattern::parse(&deep).unwrap_err().problem, Problem::DeepBraces);
    assert_eq!(
        Pattern::parse("a[b").unwrap_err().to_string(),
        "`a[b` is not a pattern: unclosed `[` at character 1"
    );
}

#[test]
fn bytes_that_are_not_utf8_count_one_character_each() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let name = OsStr::from_bytes(b"a\xff\xfeb");
    assert!(Pattern::parse("a??b").unwrap().matches(name));
    assert!(!Pattern::parse("a?b").unwrap().matches(name));
}

/// Each of these takes longer than the age of the universe with backtracking or expansion of braces; the
/// test runner's time-out is the assertion.
#[test]
fn pathological_patterns_take_no_time() {
    let rows = [
        ("a*".repeat(40) + "b", "a".repeat(2000), false),
        ("**/a/".repeat(40) + "b", "a/".repeat(1000) + "c", false),
        ("{a,aa}".repeat(60) + "b", "a".repeat(100), false),
        ("{a,b}".repeat(60), "ab".repeat(30), true),
        ("{*,**/}".repeat(30) + "x", "a/".repeat(300) + "y", false),
        ("{".repeat(60) + "a*" + &",a*}".repeat(60) + "b", "a".repeat(300), false),
    ];
    for (pattern, path, expected) in rows {
        assert_eq!(Pattern::parse(&pattern).unwrap().matches(&path), expected, "{pattern}");
    }
}
