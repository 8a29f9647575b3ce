//! What only zip has, and what other people's programs make of it.

use std::fs::{self, File};
use std::io::Cursor;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use crate::tree::{everything, python, sample, set};
use pipglr_archive::{ExtractOptions, Level, Written, ZipMethod, extract, write_zip};

fn zip(root: &Path, level: Level) -> (Vec<u8>, Written) {
    let mut bytes = Vec::new();
    let written = write_zip(root, &everything(root), ZipMethod::Deflate, level, &mut bytes).unwrap();
    (bytes, written)
}

#[test]
fn levels_are_used() {
    let tree = tempfile::tempdir().unwrap();
    let text: String = (0..20_000).map(|n| format!("line {}\n", n * 7919 % 1000)).collect();
    fs::write(tree.path().join("t"), &text).unwrap();
    let size = |level| zip(tree.path(), level).0.len();
    assert!(size(Level::Fastest) > text.len());
    assert!(size(Level::Fast) > size(Level::Default));
    assert!(size(Level::Default) > size(Level::Slowest));
}

#[test]
fn hard_metadata_is_in_the_central_directory() {
    let tree = tempfile::tempdir().unwrap();
    let file = tree.path().join("f");
    fs::write(&file, "f").unwrap();
    set(&file, 0o4711, 1_700_000_001);
    let (bytes, _) = zip(tree.path(), Level::Default);
    let archive = ::zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
    let metadata = archive.metadata();
    let entry = metadata.entry(0).unwrap();
    assert_eq!(entry.external_attributes() >> 16, 0o104_711);
    let owner = fs::metadata(&file).unwrap();
    let mut field = vec![0x75, 0x78, 11, 0, 1, 4];
    field.extend(owner.uid().to_le_bytes());
    field.push(4);
    field.extend(owner.gid().to_le_bytes());
    let mut time = vec![0x55, 0x54, 5, 0, 1];
    time.extend(1_700_000_001_u32.to_le_bytes());
    // Once in the local header, once in the central directory.
    for wanted in [field, time] {
        assert_eq!(bytes.windows(wanted.len()).filter(|w| *w == wanted).count(), 2);
    }
}

#[test]
#[ignore = "reads and writes 4 GiB"]
fn a_file_over_four_gibibytes_uses_zip64() {
    let tree = tempfile::tempdir().unwrap();
    let size = (1_u64 << 32) + 5;
    File::create(tree.path().join("huge")).unwrap().set_len(size).unwrap();
    fs::write(tree.path().join("z"), "after").unwrap();
    let (bytes, written) = zip(tree.path(), Level::Fast);
    assert_eq!(written.bytes, size + 5);
    let mut archive = ::zip::ZipArchive::new(Cursor::new(&bytes)).unwrap();
    assert_eq!(archive.by_name("huge").unwrap().size(), size);
    let mut after = String::new();
    std::io::Read::read_to_string(&mut archive.by_name("z").unwrap(), &mut after).unwrap();
    assert_eq!(after, "after");
}

#[test]
fn other_programs_read_our_archives() {
    let tree = sample();
    let file = tempfile::Builder::new().suffix(".zip").tempfile().unwrap();
    fs::write(file.path(), zip(tree.path(), Level::Default).0).unwrap();
    let list = "
import sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
for i in z.infolist():
    print(i.filename.encode('utf-8', 'replace').hex() if not i.filename.isascii() else i.filename,
          oct(i.external_attr >> 16), i.file_size, i.date_time[0])
";
    if let Some(listed) = python(list, &[file.path()]) {
        let lines: Vec<_> = listed.lines().collect();
        assert_eq!(lines.len(), 18);
        for line in [
            "bin/ 0o41777 0 2001",
            "bin/tool 0o100755 10 2020",
            "deep/broken 0o120777 17 ".trim_end(),
            "empty 0o100644 0 2023",
        ] {
            assert!(lines.iter().any(|l| l.starts_with(line)), "{line}\n{listed}");
        }
        let snow: String = "größe/☃.txt".bytes().map(|b| format!("{b:02x}")).collect();
        assert!(lines.iter().any(|l| l.starts_with(&snow)), "{listed}");
    }
    match Command::new("unzip").arg("-t").arg(file.path()).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{text}");
            assert!(text.contains("No errors detected"), "{text}");
        }
        Err(e) => println!("SKIPPED: unzip cannot be run ({e})"),
    }
}

#[test]
fn archives_of_python_unpack_here() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("p.zip");
    let make = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as z:
    z.writestr('plain', 'hello' * 1000)
    i = zipfile.ZipInfo('d/é', (2020, 2, 29, 12, 30, 8)); i.external_attr = 0o100640 << 16
    z.writestr(i, 'x')
    i = zipfile.ZipInfo('nomode', (2001, 1, 1, 0, 0, 0)); i.create_system = 0
    z.writestr(i, b'')
    i = zipfile.ZipInfo('l'); i.external_attr = 0o120777 << 16
    z.writestr(i, 'plain')
    i = zipfile.ZipInfo('d/e/'); i.external_attr = 0o40711 << 16
    z.writestr(i, '')
";
    if python(make, &[&file]).is_none() {
        return;
    }
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    let extracted = extract(&root, File::open(&file).unwrap(), &ExtractOptions::default()).unwrap();
    assert_eq!((extracted.files, extracted.directories, extracted.links), (3, 1, 1));
    assert_eq!(fs::read_to_string(root.join("l")).unwrap(), "hello".repeat(1000));
    let accented = fs::metadata(root.join("d/é")).unwrap();
    assert_eq!((accented.mode(), accented.mtime()), (0o100_640, 1_582_979_408));
    assert_eq!(fs::metadata(root.join("d/e")).unwrap().mode(), 0o40_711);
    assert_eq!(fs::read(root.join("nomode")).unwrap(), b"");
}
