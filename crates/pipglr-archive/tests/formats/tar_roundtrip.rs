//! What only tar has, and what other people's programs make of it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::tree::{everything, python, sample, unpack};
use pipglr_archive::{Level, write_tar_zst};

#[test]
fn other_programs_read_our_archives() {
    let tree = sample();
    let long = "n".repeat(150);
    fs::create_dir(tree.path().join(&long)).unwrap();
    std::os::unix::fs::symlink(&long, tree.path().join(&long).join("link")).unwrap();
    let mut bytes = Vec::new();
    write_tar_zst(tree.path(), &everything(tree.path()), Level::Default, &mut bytes).unwrap();
    let file = tempfile::Builder::new().suffix(".tar").tempfile().unwrap();
    fs::write(file.path(), zstd::decode_all(&bytes[..]).unwrap()).unwrap();
    let list = "
import sys, tarfile
for i in tarfile.open(sys.argv[1], 'r:'):
    name = i.name + ('/' if i.isdir() else '')
    print(ascii(name), oct(i.mode), i.size, i.mtime, i.linkname, i.uid)
";
    let Some(listed) = python(list, &[file.path()]) else {
        return;
    };
    let lines: Vec<_> = listed.lines().collect();
    assert_eq!(lines.len(), 20, "{listed}");
    let uid = fs::metadata(tree.path()).unwrap().uid();
    for line in [
        format!("'bin/' 0o1777 0 1000000002  {uid}"),
        format!("'bin/tool' 0o755 10 1600000001  {uid}"),
        "'deep/broken' 0o777 0 ".to_owned(),
        format!("'zeros' 0o666 100000 1500000000  {uid}"),
        format!("'{long}/' "),
        format!("'{long}/link' 0o777 0 "),
        "'gr\\xf6\\xdfe/\\u2603.txt' 0o600 6 4000000000".to_owned(),
    ] {
        assert!(lines.iter().any(|l| l.starts_with(&line)), "{line}\n{listed}");
    }
}

#[test]
fn archives_of_python_unpack_here() {
    let dir = tempfile::tempdir().unwrap();
    for format in ["USTAR_FORMAT", "GNU_FORMAT", "PAX_FORMAT"] {
        let file = dir.path().join("p.tar");
        let make = format!(
            "
import io, sys, tarfile
with tarfile.open(sys.argv[1], 'w', format=tarfile.{format}) as t:
    def add(name, kind=tarfile.REGTYPE, content=b'', **more):
        i = tarfile.TarInfo(name); i.type = kind; i.size = len(content)
        for k, v in more.items(): setattr(i, k, v)
        t.addfile(i, io.BytesIO(content))
    add('d', tarfile.DIRTYPE, mode=0o711, mtime=1500000000)
    add('d/' + 'n' * 99, content=b'hello' * 1000, mode=0o640, mtime=1582979408)
    add('d/é', content=b'x')
    add('l', tarfile.SYMTYPE, linkname='d/é')
    add('h', tarfile.LNKTYPE, linkname='d/é')
    add('f', tarfile.FIFOTYPE)
"
        );
        if python(&make, &[&file]).is_none() {
            return;
        }
        let root = dir.path().join(format);
        fs::create_dir(&root).unwrap();
        let bytes = zstd::encode_all(&fs::read(&file).unwrap()[..], 1).unwrap();
        let extracted = unpack(&bytes, &root).unwrap();
        assert_eq!(
            (extracted.files, extracted.directories, extracted.links),
            (2, 1, 2),
            "{format}"
        );
        assert_eq!(extracted.notes.len(), 1);
        let long = fs::metadata(root.join("d").join("n".repeat(99))).unwrap();
        assert_eq!(
            (long.mode(), long.mtime(), long.len()),
            (0o100_640, 1_582_979_408, 5000)
        );
        assert_eq!(fs::metadata(root.join("d")).unwrap().mode(), 0o40_711);
        assert_eq!(fs::read_to_string(root.join("l")).unwrap(), "x");
        let same = [root.join("h"), root.join("d/é")].map(|path| fs::metadata(path).unwrap().ino());
        assert_eq!(same[0], same[1]);
    }
}
