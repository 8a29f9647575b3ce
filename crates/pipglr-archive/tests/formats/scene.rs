//! Where archives made to do harm are unpacked.

use std::fs;
use std::io::Cursor;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use pipglr_archive::{Error, ExtractOptions, Extracted, UnsafeName, extract};

/// Names no entry may have, and why.
pub(crate) const NAMES_THAT_LEAD_OUT: [(&[u8], UnsafeName); 9] = [
    (b"../outside/victim", UnsafeName::Parent),
    (b"..", UnsafeName::Parent),
    (b"a/../../outside/victim", UnsafeName::Parent),
    (b"a/..", UnsafeName::Parent),
    (b"../", UnsafeName::Parent),
    (b"/etc/pipglr-hostile", UnsafeName::Absolute),
    (b"//x", UnsafeName::Absolute),
    (b"x\0y", UnsafeName::Nul),
    (b"", UnsafeName::Empty),
];

#[track_caller]
pub(crate) fn assert_refused(error: &Error, expected: UnsafeName, name: &[u8]) {
    let refused = matches!(error, Error::UnsafeName { reason, .. } if *reason == expected);
    assert!(refused, "{name:?}: {error:?}");
}

/// A root to unpack into, beside things that must stay as they are.
pub(crate) struct Scene {
    pub(crate) outer: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let outer = tempfile::tempdir().unwrap();
        fs::create_dir(outer.path().join("root")).unwrap();
        fs::create_dir(outer.path().join("outside")).unwrap();
        fs::write(outer.path().join("outside/victim"), "untouched").unwrap();
        Self { outer }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.outer.path().join("root")
    }

    /// Unpacks an archive of any format into the root.
    pub(crate) fn extract(&self, archive: Vec<u8>) -> Result<Extracted, Error> {
        let result = extract(&self.root(), Cursor::new(archive), &ExtractOptions::default());
        self.assert_outside_untouched();
        result
    }

    /// An archive of 1200 bytes of content is unpacked up to a limit, and not over it.
    #[track_caller]
    pub(crate) fn assert_limited(&self, archive: &[u8]) {
        let limited = |max_bytes| {
            let max_bytes = Some(max_bytes);
            extract(&self.root(), Cursor::new(archive), &ExtractOptions { max_bytes })
        };
        assert_eq!(limited(1200).unwrap().bytes, 1200);
        assert!(matches!(limited(1199), Err(Error::TooLarge { limit: 1199 })));
    }

    #[track_caller]
    pub(crate) fn assert_outside_untouched(&self) {
        let list = |path: &str| {
            let mut names: Vec<_> = fs::read_dir(self.outer.path().join(path))
                .unwrap()
                .map(|e| e.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        assert_eq!(list("."), ["outside", "root"]);
        assert_eq!(list("outside"), ["victim"]);
        let victim = self.outer.path().join("outside/victim");
        assert_eq!(fs::read(&victim).unwrap(), b"untouched");
        assert_eq!(fs::metadata(&victim).unwrap().mode() & 0o7777, 0o644);
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.root())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}
