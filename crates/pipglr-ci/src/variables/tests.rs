use super::{Given, Layer, Source, Undefined, Variables};

fn layer(variables: &[(&str, &str)]) -> Layer {
    variables
        .iter()
        .map(|(key, value)| Given::new(*key, *value, Source::Predefined))
        .collect()
}

#[track_caller]
fn check(variables: &[(&str, &str)], text: &str, expected: &str) {
    let layer = layer(variables);
    let all = Variables::new(vec![&layer]);
    assert_eq!(all.expand(text, Undefined::Kept), expected, "{text}");
}

#[test]
fn references_are_expanded_through_each_other() {
    let some = [("A", "$B-${C}-%C%"), ("B", "${C}b"), ("C", "c")];
    check(&some, "$A", "cb-c-c");
    check(&some, "<${B}>", "<cb>");
    check(&[("A", "é")], "é$A€", "éé€");
}

#[test]
fn what_is_no_reference_stays() {
    for text in ["$UNDEFINED", "${B", "%B", "$", "$1", "${B:-x}", "100%", "$é"] {
        check(&[("B", "b")], text, text);
    }
    check(&[("A", "$$B"), ("B", "b")], "$A", "$$B");
    check(&[("B", "b")], "$$B", "$b");
}

#[test]
fn a_value_may_use_the_weaker_one_of_its_name() {
    let weak = layer(&[("PATH", "/bin")]);
    let strong = layer(&[("PATH", "$PATH:/x"), ("A", "$A.")]);
    let all = Variables::new(vec![&weak, &strong]);
    assert_eq!(all.expand("$PATH", Undefined::Kept), "/bin:/x");
    assert_eq!(all.expand("$A", Undefined::Kept), "$A.");
    assert_eq!(all.circle(), None);
}

#[test]
fn undefined_references_may_vanish() {
    let some = layer(&[("A", "a$NO")]);
    let all = Variables::new(vec![&some]);
    assert_eq!(all.expand("$A-$NOT", Undefined::Blank), "a-");
    assert_eq!(all.expand_once("$A", Undefined::Blank), "a$NO");
}

#[test]
fn circles_are_found() {
    let some = layer(&[("X", "$A"), ("A", "$B"), ("B", "%C%"), ("C", "${A}")]);
    assert_eq!(Variables::new(vec![&some]).circle(), Some(vec!["A", "B", "C"]));
    let raw = layer(&[("A", "$B"), ("B", "b"), ("C", "$A$A")]);
    assert_eq!(Variables::new(vec![&raw]).circle(), None);
}

#[test]
fn raw_values_are_inserted_as_they_are() {
    let some: Layer = [
        Given {
            raw: true,
            ..Given::new("RAW", "$B", Source::Predefined)
        },
        Given::new("A", "<$RAW>", Source::Predefined),
        Given::new("B", "b", Source::Predefined),
    ]
    .into_iter()
    .collect();
    let all = Variables::new(vec![&some]);
    assert_eq!(all.expand("$A $RAW", Undefined::Kept), "<$B> $B");
}

#[test]
fn laughing_variables_end() {
    for end in ["x", ""] {
        let last = [("V60".to_owned(), end.to_owned())];
        let some: Layer = (0..60)
            .map(|n| (format!("V{n}"), format!("$V{0}$V{0}", n + 1)))
            .chain(last)
            .map(|(key, value)| Given::new(key, value, Source::Predefined))
            .collect();
        let text = Variables::new(vec![&some]).expand("$V0", Undefined::Kept);
        assert!(text.len() < 4 << 20);
    }
}

#[test]
fn of_hidden_values_that_begin_alike_nothing_is_seen() {
    let hidden = |key: &str, value: &str| Given {
        masked: true,
        ..Given::new(key, value, Source::Predefined)
    };
    let layer: Layer = [hidden("A", "secret"), hidden("B", "secret-and-more")]
        .into_iter()
        .collect();
    let all = Variables::new(vec![&layer]);
    assert_eq!(all.mask("<secret-and-more> <secret>"), "<[MASKED]> <[MASKED]>");
}
