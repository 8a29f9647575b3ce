use super::{Expression, Operator, Pattern};
use proptest::prelude::*;

const VARIABLES: [(&str, &str); 9] = [
    ("PRESENT", "my variable"),
    ("PATH_", "a/path/variable/value"),
    ("FULL", "/a/full/path/variable/value"),
    ("EMPTY", ""),
    ("BLANK", "   "),
    ("ZERO", "0"),
    ("WORD", "abcde"),
    ("AB", "/^ab.*/"),
    ("AT", "/^at.*/"),
];

fn lookup(name: &str) -> Option<&'static str> {
    VARIABLES.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
}

fn is_true(text: &str) -> bool {
    let expression = Expression::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    expression.is_true(&lookup).0
}

#[test]
fn expressions_are_as_true_as_in_gitlab() {
    // Compat: GitLab spec/lib/gitlab/ci/pipeline/expression/statement_spec.rb and ci-yaml.md 11.3.
    for (text, expected) in [
        ("$PRESENT == \"my variable\"", true),
        ("'my variable' == $PRESENT", true),
        ("$PRESENT == null", false),
        ("$EMPTY == null", false),
        ("\"\" == $EMPTY", true),
        ("$EMPTY", false),
        ("$BLANK", false),
        ("$ZERO", true),
        ("$UNSET == null", true),
        ("null == $UNSET", true),
        ("$UNSET == \"\"", false),
        ("$UNSET != \"a\"", true),
        ("$UNSET == $ALSO_UNSET", true),
        ("$UNSET", false),
        ("$PRESENT =~ /var.*e$/", true),
        ("$PRESENT =~ /va\\r.*e$/", false),
        ("$PRESENT =~ /^var.*/", false),
        ("$EMPTY =~ /var.*/", false),
        ("$UNSET =~ /var.*/", false),
        ("$UNSET =~ /^$/", true),
        ("$PRESENT =~ /VAR.*/i", true),
        ("$PATH_ =~ /path\\/variable/", true),
        ("$FULL =~ /^\\/a\\/full\\/path\\/variable\\/value$/", true),
        ("$PRESENT !~ /var.*e$/", false),
        ("$EMPTY !~ /var.*/", true),
        ("$UNSET !~ /var.*/", true),
        ("$PRESENT && $EMPTY", false),
        ("$EMPTY && $PRESENT", true),
        ("$EMPTY || $PRESENT", false),
        ("$UNSET || $PRESENT", true),
        ("null && $PRESENT", false),
        ("$PRESENT && null || $EMPTY == \"\"", true),
        ("(null || (\"test\" == \"string\"))", false),
        ("(\"string\" == (\"test\" && \"string\"))", true),
        ("(\"string\" == (\"test\" || \"string\"))", false),
        ("$WORD =~ \"abcde\"", true),
        ("$WORD =~ $WORD", true),
        ("$WORD =~ $AB", true),
        ("$WORD =~ $AT", false),
        ("\"23\" =~ \"1234\"", true),
        ("\"1234\" =~ \"23\"", false),
        ("$WORD =~ $UNSET", false),
        ("$WORD !~ $UNSET", true),
        ("\"true\" == true", false),
        ("true", true),
        ("false || true", true),
        ("!$UNSET", true),
        ("!$EMPTY && !false", true),
        ("!($WORD == \"abcde\")", false),
        ("!$WORD == \"abcde\"", false),
        ("!!$WORD", true),
        ("$ZERO == \"1\" || $ZERO == \"0\" && $WORD", true),
        ("$WORD =~ true", false),
        ("$PRESENT\n  == 'my variable'", true),
    ] {
        assert_eq!(is_true(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_expression_is_reported_with_its_column() {
    for (text, expected) in [
        ("", "at column 1: there is no expression"),
        (
            "${VAR} == \"a\"",
            "at column 1: `$` is not understood; write a variable without braces, as `$NAME`",
        ),
        (
            "%VAR%",
            "at column 1: `%` is not understood; write a variable as `$NAME`",
        ),
        ("$A = \"a\"", "at column 4: `=` is not understood; compare with `==`"),
        (
            "$A == main",
            "at column 7: `main` is not understood; put quotes around a text; a variable starts with `$`",
        ),
        ("$A and $B", "at column 4: `and` is not understood; combine with `&&`"),
        (
            "$A > 1",
            "at column 4: `>` is not understood; there is no comparison by size",
        ),
        (
            "$A == \"a",
            "at column 7: `\"` is not understood; the quote is not closed",
        ),
        (
            "$A =~ /a/",
            "at column 7: `/` is not understood; a pattern is `/…/` with at least two characters between the slashes",
        ),
        ("$A ==", "at column 4: `==` lacks an operand"),
        ("!", "at column 1: `!` lacks an operand"),
        ("($A", "at column 1: this parenthesis is not closed"),
        ("$A)", "at column 3: this parenthesis closes nothing"),
        ("é", "at column 1: `é` is not understood"),
        (
            "$A $B",
            "at column 4: two values stand side by side; put an operator between them",
        ),
        ("$A == 'é' || é", "at column 14: `é` is not understood"),
    ] {
        let error = Expression::parse(text).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
    }
}

#[test]
fn patterns_are_those_of_re2() {
    for text in ["$A =~ /a(?=b)/", "$A =~ /(a)\\1/", "$A =~ /a(b/", "$A =~ /(?x)ab/"] {
        let error = Expression::parse(text).unwrap_err();
        assert!(
            error.message.starts_with("invalid regular expression: "),
            "{text}: {error}"
        );
    }
    for (pattern, text, expected) in [
        ("/^\\w+$/", "é", false),
        ("/^\\d$/", "٣", false),
        ("/[[]a/", "[a", true),
        ("/[]a]x/", "]x", true),
        ("/[a&&b]x/", "&x", true),
        ("/a{x}/", "a{x}", true),
        ("/^a{2,3}$/", "aaa", true),
        ("/^[[:alpha:]]+$/", "ab", true),
        ("/^\\p{L}$/", "é", true),
        ("/^[\\p{Greek}\\d]+$/", "β1", true),
        ("/\\x{e9}/", "é", true),
        ("/\\<b\\>/", "<b>", true),
        ("/\\Qa.b\\E!/", "a.b!", true),
        ("/a.b/", "a\nb", false),
        ("/a.b/s", "a\nb", true),
        ("/^b$/m", "a\nb", true),
        ("/^b/", "a\nb", false),
        ("/\\bfoo\\b/", "a foo b", true),
    ] {
        let pattern = Pattern::of_value(pattern).unwrap();
        assert_eq!(pattern.is_match(text), expected, "{pattern} {text:?}");
    }
}

#[test]
fn a_hundred_tokens_are_too_many() {
    let terms = |count: usize| vec!["$A"; count].join(" || ");
    assert!(Expression::parse(&terms(50)).is_ok());
    let error = Expression::parse(&terms(51)).unwrap_err();
    assert_eq!(error.message, "more than 99 tokens");
}

#[test]
fn looked_up_variables_are_told() {
    let expression = Expression::parse("$WORD == 'x' || $UNSET == 'y' || $WORD").unwrap();
    let (_, seen) = expression.is_true(&lookup);
    assert_eq!(
        seen,
        [
            ("WORD".to_owned(), Some("abcde".to_owned())),
            ("UNSET".to_owned(), None)
        ]
    );
    assert_eq!(
        Expression::parse("$[[ inputs.a ]] == 'x' && $[[inputs.b]] || $[[ inputs.a ]]")
            .unwrap()
            .inputs(),
        ["a", "b"]
    );
}

fn expression() -> impl Strategy<Value = Expression> {
    let leaf = prop_oneof![
        "[A-Z_][A-Z0-9_]{0,3}".prop_map(Expression::Variable),
        "[a-z$/&| ]{0,5}".prop_map(Expression::String),
        Just(Expression::Null),
        any::<bool>().prop_map(Expression::Boolean),
        "[a-z]{2,4}".prop_map(|body| Expression::Pattern(Pattern::literal(&format!("/{body}/i")).unwrap())),
    ];
    let operator = prop_oneof![
        Just(Operator::Equals),
        Just(Operator::NotEquals),
        Just(Operator::Matches),
        Just(Operator::NotMatches),
        Just(Operator::And),
        Just(Operator::Or),
    ];
    leaf.prop_recursive(3, 12, 2, move |inner| {
        prop_oneof![
            inner.clone().prop_map(|operand| Expression::Not(Box::new(operand))),
            (operator.clone(), inner.clone(), inner).prop_map(|(operator, left, right)| Expression::Binary(
                operator,
                Box::new(left),
                Box::new(right)
            )),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_an_expression_or_an_error(text in "([$A-C!=~&|()/'\"a-z\\\\\\[\\]{}?*+^. é-]|null|true|\n){0,30}") {
        match Expression::parse(&text) {
            Ok(expression) => {
                expression.is_true(&lookup);
            }
            Err(error) => prop_assert!(text.is_char_boundary(error.offset)),
        }
    }

    #[test]
    fn an_expression_reads_back_as_it_was_printed(expression in expression()) {
        prop_assert_eq!(Expression::parse(&expression.to_string()), Ok(expression));
    }
}
