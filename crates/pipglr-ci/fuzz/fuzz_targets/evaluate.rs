//! Whatever the files say, evaluating and rendering them ends and does not panic.
//!
//! The input is divided at bytes of zero: the first part is the evaluated file, every further one `1.yml`, `2.yml`, …

#![no_main]

use libfuzzer_sys::fuzz_target;
use pipglr_ci::{Component, Context, FetchError, Origin, Request, SourceFile, World, evaluate, render};
use std::rc::Rc;

#[derive(Debug)]
struct Files(Vec<String>);

impl Files {
    fn text(&self, path: &str) -> Result<String, FetchError> {
        let number = path.trim_end_matches(".yml").rsplit('/').next().unwrap_or_default();
        let number: usize = number.parse().map_err(|_| FetchError::Missing)?;
        self.0.get(number).cloned().ok_or(FetchError::Missing)
    }
}

impl World for Files {
    fn local(&self, _: &Origin, path: &str) -> Result<String, FetchError> {
        self.text(path)
    }

    fn paths(&self, _: &Origin) -> Result<Rc<[String]>, FetchError> {
        Ok((0..self.0.len()).map(|number| format!("{number}.yml")).collect())
    }

    fn project(&self, project: &str, reference: Option<&str>) -> Result<Origin, FetchError> {
        Ok(Origin::Other {
            project: project.to_owned(),
            sha: reference.unwrap_or_default().to_owned(),
        })
    }

    fn remote(&self, url: &str) -> Result<String, FetchError> {
        self.text(url)
    }

    fn template(&self, name: &str) -> Result<String, FetchError> {
        self.text(name)
    }

    fn component(&self, _: &str) -> Result<Component, FetchError> {
        Err(FetchError::Missing)
    }

    fn changed_paths(&self, _: Option<&str>) -> Result<Option<Rc<[String]>>, FetchError> {
        Ok(None)
    }
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let files = Files(text.split('\0').map(str::to_owned).collect());
    let file = SourceFile {
        path: "0.yml".to_owned(),
        text: files.0[0].clone(),
    };
    let evaluation = evaluate(&Request {
        file: &file,
        inputs: &serde_json::Map::new(),
        context: &Context::default(),
        world: &files,
    });
    render(&evaluation.diagnostics, &evaluation.sources);
});
