//! Whatever the text, evaluating and rendering it ends, does not panic, and keeps its promises.

use pipglr_ci::{
    Component, Context, FetchError, Fetched, Origin, Request, Severity, SourceFile, World, evaluate, evaluate_alone,
    render,
};
use proptest::prelude::*;
use std::rc::Rc;

/// A file that uses most of the language, to be damaged.
const WHOLE: &str = "\
stages: [build, test, deploy]
default:
  image: {name: 'alpine:3', entrypoint: [''], pull_policy: [always], docker: {user: '1000'}}
  tags: [a, b]
  retry: {max: 2, when: [api_failure], exit_codes: 3}
  id_tokens: {TOKEN: {aud: [x, y]}}
  hooks: {pre_get_sources_script: [a]}
  services: [redis, {name: db, alias: 'a b', command: [x], variables: {C: 1}}]
variables:
  A: 1
  B: {value: b, description: text, options: [a, b], expand: false}
.base: &base
  before_script: &setup
    - echo \"übung\"
  timeout: 1h 30m
build:
  <<: *base
  stage: build
  script: [a, [b, [c]]]
  artifacts: {paths: [out], when: always, expire_in: 1 week}
test:
  <<: [*base]
  needs: [{job: build, artifacts: false, optional: true}]
  script: |
    make
    make test
  allow_failure: {exit_codes: [1, 2]}
  parallel: {matrix: [{OS: [a, b], ARCH: c}, {OS: d}]}
  coverage: '/(\\d+)%/'
  secrets: {S: {vault: a/b@c, file: false}, T: {aws_secrets_manager: d#e}}
  inputs: {level: {type: number, default: 3, options: [3, 4]}}
again:
  inherit: {default: [image], variables: false}
  needs: [{job: test, parallel: {matrix: [{OS: '$[[ matrix.OS ]]'}]}}, {pipeline: $UP, job: x}]
  parallel: {matrix: [{OS: [d]}]}
  run: [{name: a, script: b, env: {C: d}}, {name: e, step: {git: {url: f, rev: g}}}]
child:
  trigger: {include: [{local: a.yml}, {artifact: b.yml, job: build}], strategy: depend, forward: {yaml_variables: no}}
deploy:
  stage: deploy
  dependencies: [build]
  when: delayed
  start_in: 1 day
  script: *setup
  environment: {name: review/$A, url: 'https://x', on_stop: stop, auto_stop_in: 1 day, deployment_tier: other}
  release: {tag_name: v1, description: d, assets: {links: [{name: a, url: b}]}}
  pages: {publish: out, expire_in: 1 week}
  resource_group: r
stop:
  stage: deploy
  script: x
  when: manual
  manual_confirmation: sure?
  environment: {name: review/$A, action: stop}
";

/// Several files that use what puts files together, to be damaged. The first is the one that is evaluated.
const FILES: [(&str, &str); 5] = [
    (
        ".gitlab-ci.yml",
        "\
spec:
  include: [{local: inputs.yml}]
  inputs:
    stage: {default: test, options: [test, deploy], description: where}
    count: {type: number, default: 2}
    list: {type: array, default: [a, {b: c}]}
    flavour:
      rules:
        - if: $[[ inputs.stage ]] == 'test'
          default: small
        - {options: [small, large], default: large}
---
include:
  - one.yml
  - {local: 'ci/*.yml', inputs: {name: $[[ inputs.stage | truncate(0,3) | posix_escape ]]}}
  - {project: group/lib, file: [one.yml], ref: v1, rules: [{if: $CI, when: always}]}
  - {remote: 'https://x/one.yml', rules: [{exists: [one.yml]}]}
  - {component: 'x/y/z@1'}
.base: {image: i, variables: {A: 1}, script: [x]}
a:
  extends: [.base, .one]
  stage: $[[ inputs.stage ]]
  variables: {B: $[[ inputs.flavour | expand_vars ]], L: '$[[ inputs.extra ]]'}
b:
  extends: .base
  script: [!reference [.base, script], !reference [.one, script], ü]
",
    ),
    ("inputs.yml", "inputs: {extra: {regex: '^[a-z]*$', default: e}}\n"),
    (
        "one.yml",
        ".one: {script: [one, !reference [.nested, script]]}\n.nested: {script: [n]}\none: {extends: .one}\n",
    ),
    (
        "ci/two.yml",
        "spec: {inputs: {name: }}\n---\n\"two-$[[ inputs.name ]]\": {script: x, needs: [one]}\n",
    ),
    (
        "three.yml",
        "spec: {component: [name, sha]}\n---\nthree: {script: \"$[[ component.name ]] é\"}\n",
    ),
];

/// Every way to a file leads to one of these, whatever is asked for.
#[derive(Debug)]
struct Anything {
    files: Vec<(String, String)>,
}

impl Anything {
    fn undamaged() -> Self {
        let files = FILES.map(|(path, text)| (path.to_owned(), text.to_owned()));
        Self { files: files.into() }
    }

    fn text(&self, path: &str) -> Result<String, FetchError> {
        let found = self.files.iter().find(|(name, _)| path.ends_with(name.as_str()));
        found.map(|(_, text)| text.clone()).ok_or(FetchError::Missing)
    }
}

impl World for Anything {
    fn local(&self, _: &Origin, path: &str) -> Result<String, FetchError> {
        self.text(path)
    }

    fn paths(&self, _: &Origin) -> Result<Rc<[String]>, FetchError> {
        Ok(self.files.iter().map(|(path, _)| path.clone()).collect())
    }

    fn project(&self, project: &str, reference: Option<&str>) -> Result<Origin, FetchError> {
        Ok(Origin::Other {
            project: project.to_owned(),
            sha: reference.unwrap_or("HEAD").to_owned(),
        })
    }

    fn remote(&self, url: &str) -> Result<String, FetchError> {
        self.text(url)
    }

    fn template(&self, name: &str) -> Result<String, FetchError> {
        self.text(name)
    }

    fn component(&self, _: &str) -> Result<Component, FetchError> {
        Ok(Component {
            file: Fetched {
                text: self.text("three.yml")?,
                origin: Origin::Nowhere,
            },
            name: "z".to_owned(),
            sha: "s".to_owned(),
            version: "1".to_owned(),
            reference: "1".to_owned(),
        })
    }

    fn changed_paths(&self, _: Option<&str>) -> Result<Option<Rc<[String]>>, FetchError> {
        Ok(None)
    }
}

fn keeps_its_promises(text: &str) {
    let source = SourceFile {
        path: "ci.yml".to_owned(),
        text: text.to_owned(),
    };
    check_promises(&evaluate_alone(&source));
}

fn evaluated_in(world: &Anything) -> pipglr_ci::Evaluation {
    let (path, text) = world.files[0].clone();
    evaluate(&Request {
        file: &SourceFile { path, text },
        inputs: &serde_json::Map::new(),
        context: &Context::default(),
        world,
    })
}

fn check_promises(evaluation: &pipglr_ci::Evaluation) {
    let failed = evaluation
        .diagnostics
        .iter()
        .any(|diagnostic| diagnostic.severity == Severity::Error);
    assert_eq!(
        evaluation.pipeline.is_none() && evaluation.no_pipeline.is_none(),
        failed,
        "a pipeline exactly when there is no error"
    );
    assert_eq!(evaluation.sources.len(), evaluation.includes.len());
    for diagnostic in &evaluation.diagnostics {
        if let Some(span) = diagnostic.span {
            let source = &evaluation.sources[span.file.0];
            assert_eq!(diagnostic.path, source.path);
            let marked = source
                .text
                .get(span.start..span.end)
                .expect("a span is on character boundaries");
            assert!(!marked.contains('\n'), "a span is within one line");
            assert_eq!(source.text[..span.start].matches('\n').count() + 1, span.line);
        }
    }
    render(&evaluation.diagnostics, &evaluation.sources);
}

#[test]
fn the_undamaged_files_are_a_pipeline() {
    let evaluation = evaluated_in(&Anything::undamaged());
    assert_eq!(evaluation.diagnostics, []);
    let names: Vec<String> = evaluation
        .pipeline
        .into_iter()
        .flat_map(|pipeline| pipeline.jobs)
        .map(|job| job.name)
        .collect();
    assert_eq!(names, ["one", "two-tes", "three", "a", "b"]);
}

#[test]
fn the_undamaged_file_is_a_pipeline() {
    let source = SourceFile {
        path: "ci.yml".to_owned(),
        text: WHOLE.to_owned(),
    };
    let evaluation = evaluate_alone(&source);
    let messages: Vec<String> = evaluation.diagnostics.iter().map(ToString::to_string).collect();
    assert!(
        messages.iter().all(|message| message.contains("publishes a site")),
        "{messages:?}"
    );
    assert_eq!(evaluation.pipeline.map(|pipeline| pipeline.jobs.len()), Some(8));
}

#[test]
fn thousands_of_jobs_of_matrices_are_made() {
    let values = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
    let mut text = "default: {image: alpine, before_script: [a, b, c]}\nvariables: {A: a, B: b, C: c}\n".to_owned();
    for job in 0..25 {
        text += &format!(
            "job-{job}:\n  stage: build\n  script: [x, y, z]\n  parallel: {{matrix: [{{P: [{}], Q: [{}]}}]}}\n",
            values(10),
            values(20)
        );
        text += &format!(
            "after-{job}:\n  script: x\n  parallel: {{matrix: [{{P: [{}]}}]}}\n  needs:\n  - job: job-{job}\n    \
             parallel: {{matrix: [{{P: '$[[ matrix.P ]]', Q: [{}]}}]}}\n",
            values(10),
            values(20)
        );
    }
    let source = SourceFile {
        path: "ci.yml".to_owned(),
        text,
    };
    let evaluation = evaluate_alone(&source);
    let jobs = evaluation.pipeline.map(|pipeline| pipeline.jobs).unwrap_or_default();
    assert_eq!((evaluation.diagnostics, jobs.len()), (Vec::new(), 5250));
    let last = jobs
        .last()
        .map(|job| (job.name.clone(), job.needs.as_ref().map(Vec::len)));
    assert_eq!(last, Some(("after-24: [9]".to_owned(), Some(20))));
}

#[test]
fn a_file_that_comes_to_too_much_is_refused() {
    let many: String = (0..100)
        .map(|n| format!("b{n}: {{script: x, stage: build, parallel: 200}}\n"))
        .collect();
    let names: Vec<String> = (0..100).map(|n| format!("b{n}")).collect();
    let text = format!(
        "{many}t: {{script: x, parallel: 200, dependencies: [{}]}}\n",
        names.join(", ")
    );
    let source = SourceFile {
        path: "ci.yml".to_owned(),
        text,
    };
    let messages: Vec<String> = evaluate_alone(&source)
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        messages,
        ["ci.yml:101:1: error: the jobs of this file have too many instances, needs and dependencies to hold"]
    );
}

#[test]
fn hostile_shapes_end_soon() {
    let deep = "[".repeat(100_000);
    let deep_block: String = (0..2_000).map(|level| " ".repeat(level) + "a:\n").collect();
    let laughs: String = std::iter::once("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned())
        .chain((1..40).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "))))
        .collect();
    let chain: String = (0..5_000)
        .map(|n| format!("j{n}: {{script: x, needs: [j{}]}}\n", n + 1))
        .collect();
    let merges = format!("a: &a {{{}}}\nb:\n{}", "k: 1, ".repeat(3), "  <<: *a\n".repeat(50_000));
    let one_line = format!("{{é: [{}]}}", "x, ".repeat(30_000));
    let lost: String = (0..1_000)
        .map(|n| format!("job-number-{n}: {{script: x, needs: [job-nimber-{n}]}}\n"))
        .collect();
    let tall = (0..90).fold("&x0 y".to_owned(), |inner, _| format!("[{inner}]"));
    for text in [
        deep.as_str(),
        &deep_block,
        &laughs,
        &chain,
        &merges,
        &one_line,
        &lost,
        &format!("a: &a {tall}\nb: [[[[[[[[[[[[[[[*a]]]]]]]]]]]]]]]\n"),
        "a: &a [*a]\n",
        "a: &a {<<: *a}\n",
        "? [a]\n: b\n? {c: d}\n: e\n",
        "\u{feff}a: {script: x}\n",
        "a:\r\n  script: [x]\r\n  sript: y\r\n",
        "a: \"\\0\"\n\u{0}",
        "é: ñ\n\u{2028}: [\n",
        "--- a\n--- b\n--- c\n",
        "%YAML 9.9\n---\na: 1\n",
        "a: !<tag:x> y\nb: !!binary z\nc: !!set {}\n",
        "<<: [{script: x}, *nowhere]\n",
    ] {
        keeps_its_promises(text);
    }
}

#[test]
fn hostile_templates_references_and_blocks_end_soon() {
    let extends: String = (1..5_000).map(|n| format!("j{n}: {{extends: j{}}}\n", n - 1)).collect();
    let rising: String = (0..5_000).map(|n| format!("j{n}: {{extends: j{}}}\n", n + 1)).collect();
    let references: String = (0..5_000)
        .map(|n| format!("j{n}: [!reference [j{}]]\n", n + 1))
        .collect();
    let doubling: String = std::iter::once(".d0: [x, x]\n".to_owned())
        .chain((1..60).map(|n| format!(".d{n}: [!reference [.d{}], !reference [.d{}]]\n", n - 1, n - 1)))
        .collect();
    let copies: String = std::iter::once(format!(".big: {{script: [{}]}}\n", "x, ".repeat(20_000)))
        .chain((0..2_000).map(|n| format!(".c{n}: !reference [.big]\n")))
        .collect();
    let wide: String = std::iter::once(format!(
        ".w: {{{}}}\n",
        (0..5_000).map(|n| format!("k{n}: 1, ")).collect::<String>()
    ))
    .chain((0..100).map(|n| format!("e{n}: {{extends: [{}]}}\n", ".w, ".repeat(1_000))))
    .collect();
    let blocks = format!(
        "spec: {{inputs: {{x: {{default: \"{}\"}}}}}}\n---\na: [{}]\n",
        "y".repeat(100_000),
        "$[[ inputs.x ]], ".repeat(50_000)
    );
    let unknown: String = std::iter::once("spec: {inputs: }\n---\na:\n".to_owned())
        .chain((0..2_000).map(|n| format!("- '$[[ inputs.x{n} ]]'\n")))
        .collect();
    for text in [
        extends.as_str(),
        &rising,
        &references,
        &doubling,
        &copies,
        &wide,
        &blocks,
        &unknown,
        &"$[[ ".repeat(100_000),
        &format!("spec: {{inputs: }}\n---\n{}", "$[[ x ".repeat(100_000)),
        "spec: {inputs: {x: {default: \"a\\n---\\nb: 1\"}}}\n---\na: {script: $[[ inputs.x ]]}\n",
        "spec: {inputs: {é: {default: \"ü\\nö\"}}}\n---\n\u{feff}ä: {script: [é, $[[ inputs.é ]], }\n",
    ] {
        keeps_its_promises(text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        keeps_its_promises(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_yaml_like_text(text in "([a-c<.~*&!'\"|>{}\\[\\],:# 0-9é-]{0,6}(: |- |\n|\n  |\r\n|,|)){0,40}") {
        keeps_its_promises(&text);
    }

    #[test]
    fn a_damaged_file(edits in prop::collection::vec((any::<prop::sample::Index>(), 0..6_usize, "[a-z*&<:{}\\[\\]\n \t\"é!~0-9]{0,4}"), 1..6)) {
        let mut characters: Vec<char> = WHOLE.chars().collect();
        for (at, removed, inserted) in edits {
            let start = at.index(characters.len() + 1);
            let end = (start + removed).min(characters.len());
            characters.splice(start..end, inserted.chars());
        }
        keeps_its_promises(&characters.into_iter().collect::<String>());
    }

    #[test]
    fn damaged_files(edits in prop::collection::vec((0..FILES.len(), any::<prop::sample::Index>(), 0..8_usize, "[a-z*&<:{}\\[\\]\n \"é!|$.,~0-9-]{0,6}"), 1..8)) {
        let mut world = Anything::undamaged();
        for (file, at, removed, inserted) in edits {
            let mut characters: Vec<char> = world.files[file].1.chars().collect();
            let start = at.index(characters.len() + 1);
            let end = (start + removed).min(characters.len());
            characters.splice(start..end, inserted.chars());
            world.files[file].1 = characters.into_iter().collect();
        }
        check_promises(&evaluated_in(&world));
    }

    #[test]
    fn any_block(data in "[a-z.|() ',0-9é\\[\\]$]{0,30}", value in "(\\PC|\n){0,12}") {
        let value = serde_json::Value::String(value);
        keeps_its_promises(&format!("spec: {{inputs: {{x: {{default: {value}}}}}}}\n---\na: {{script: [\"$[[ inputs.x ]]\", $[[ {data} ]]]}}\n"));
    }

    #[test]
    fn any_templates_and_references(text in "(\\.?[a-d]: (\\{(extends: (\\.?[a-d]|\\[\\.?[a-d], \\.?[a-d]\\])|x: !reference \\[\\.?[a-d](, x)?\\]|script: x)(, x: (y|\\[!reference \\[\\.?[a-d], x\\]\\]))?\\}|!reference \\[\\.?[a-d]\\])\n){1,8}") {
        keeps_its_promises(&text);
    }

    #[test]
    fn any_value_for_any_keyword(keyword in "(include|extends|spec|script|stage|image|variables|artifacts|needs|dependencies|when|allow_failure|timeout|tags|stages|default|services|retry|hooks|id_tokens|identity|secrets|interruptible|resource_group|environment|trigger|release|pages|publish|coverage|run|manual_confirmation|start_in|dast_configuration|inputs|parallel|inherit|cache)", value in "(~|x|1|1.5|yes|2024-01-01|\\[\\]|\\{\\}|\\[x\\]|\\[\\[x\\]\\]|\\[1, ~\\]|\\{a: b\\}|\\{name: x\\}|\\{job: a\\}|\\{exit_codes: 1\\}|\\{matrix: \\[\\{a: b\\}\\]\\}|\\{include: x\\}|\\{a: \\{aud: b\\}\\}|\\{a: \\{vault: b/c\\}\\}|!reference \\[a, b\\]|'')") {
        keeps_its_promises(&format!("{keyword}: {value}\na:\n  script: x\n  {keyword}: {value}\n"));
    }
}
