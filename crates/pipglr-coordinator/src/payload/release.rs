//! The step that makes a release after the script. Compat: GitLab lib/gitlab/ci/build/releaser.rb: the image has
//! `glab` or `release-cli`.

use pipglr_ci::model::Release;
use serde_json::Value;

/// One command per line of the step's script.
pub(super) fn script(release: &Release) -> Vec<String> {
    let text = |key: &str| release.options.get(key).and_then(Value::as_str);
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let milestones: Vec<String> = list(release.options.get("milestones"))
        .iter()
        .filter_map(|m| m.as_str().map(str::to_owned))
        .collect();
    let links = list(release.options.get("assets").and_then(|assets| assets.get("links")));
    let mut cli = format!("release-cli create --tag-name {}", quote(&release.tag_name));
    let mut glab = format!("glab release create {}", quote(&release.tag_name));
    let mut both = |old: &str, new: &str, value: &str| {
        let value = quote(value);
        cli.extend([" ", old, " ", value.as_str()]);
        glab.extend([" ", new, " ", value.as_str()]);
    };
    both("--description", "--notes", &release.description);
    for (key, old, new) in [
        ("name", "--name", "--name"),
        ("tag_message", "--tag-message", "--tag-message"),
        ("ref", "--ref", "--ref"),
        ("released_at", "--released-at", "--released-at"),
    ] {
        if let Some(value) = text(key) {
            both(old, new, value);
        }
    }
    for milestone in &milestones {
        both("--milestone", "--milestone", milestone);
    }
    for link in &links {
        cli.extend([" --assets-link ", quote(&link.to_string()).as_str()]);
    }
    if !links.is_empty() {
        glab.extend([" --assets-links ", quote(&Value::from(links).to_string()).as_str()]);
    }
    vec![format!(
        "if command -v glab > /dev/null 2>&1; then {glab}; else {cli}; fi"
    )]
}

/// In double quotes, so that variables of the job are filled in by its shell.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\' | '`') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::script;
    use pipglr_ci::model::Release;
    use serde_json::json;

    #[test]
    fn releases_are_made_by_whatever_the_image_has() {
        let release = Release {
            tag_name: "v$CI_PIPELINE_IID".to_owned(),
            description: "It \"works\"".to_owned(),
            options: json!({
                "name": "One", "milestones": ["m1"],
                "assets": { "links": [{ "name": "doc", "url": "https://x.test" }] },
            })
            .as_object()
            .unwrap()
            .clone(),
        };
        let expected = concat!(
            "if command -v glab > /dev/null 2>&1; then ",
            r#"glab release create "v$CI_PIPELINE_IID" --notes "It \"works\"" --name "One" --milestone "m1""#,
            r#" --assets-links "[{\"name\":\"doc\",\"url\":\"https://x.test\"}]"; else "#,
            r#"release-cli create --tag-name "v$CI_PIPELINE_IID" --description "It \"works\"" --name "One""#,
            r#" --milestone "m1" --assets-link "{\"name\":\"doc\",\"url\":\"https://x.test\"}"; fi"#,
        );
        assert_eq!(script(&release), [expected]);
    }
}
