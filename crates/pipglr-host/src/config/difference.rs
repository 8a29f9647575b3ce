//! Two texts line by line.

/// Lines of the old text and the new one as `diff -U0` marks them (`-`, `+`), with up to `around` equal lines beside them.
/// Empty if they are equal.
#[must_use]
pub fn difference(old: &str, new: &str, around: usize) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let marked = marked(&old, &new);
    let changed: Vec<usize> = (0..marked.len()).filter(|&at| marked[at].0 != ' ').collect();
    let near = |at: usize| changed.iter().any(|&change| change.abs_diff(at) <= around);
    let mut shown = Vec::new();
    let mut gap = false;
    for (at, (mark, line)) in marked.iter().enumerate() {
        if near(at) {
            if gap && !shown.is_empty() {
                shown.push("…".to_owned());
            }
            gap = false;
            shown.push(format!("{mark}{line}").trim_end().to_owned());
        } else {
            gap = true;
        }
    }
    shown
}

/// The longest common subsequence keeps its lines; a configuration has hundreds of lines at most.
fn marked<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<(char, &'t str)> {
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push((' ', old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(('-', old[i]));
            i += 1;
        } else {
            lines.push(('+', new[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn lines_that_came_and_went() {
        for (old, new, around, expected) in [
            ("a\nb\n", "a\nb\n", 1, &[][..]),
            ("", "a\n", 1, &["+a"][..]),
            ("a\n", "", 1, &["-a"]),
            ("a\nb\nc\nd\n", "a\nB\nc\nd\n", 1, &[" a", "-b", "+B", " c"]),
            (
                "a\nb\nc\nd\ne\nf\n",
                "A\nb\nc\nd\ne\nF\n",
                1,
                &["-a", "+A", " b", "…", " e", "-f", "+F"],
            ),
            ("a\nb\n", "b\nc\n", 0, &["-a", "…", "+c"]),
        ] {
            assert_eq!(difference(old, new, around), expected, "{old:?} {new:?}");
        }
    }
}
