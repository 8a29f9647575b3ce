//! Rows of text in columns.

use unicode_width::UnicodeWidthStr as _;

/// Lays rows out under a heading; the last column is as wide as it likes.
pub(super) fn columns<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let mut widths = heading.map(|cell| cell.width());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width());
        }
    }
    let line = |cells: [&str; N]| {
        let mut line = String::new();
        for (cell, width) in cells.into_iter().zip(widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width - cell.width() + 2));
        }
        line.truncate(line.trim_end().len());
        line
    };
    let heading = std::iter::once(line(heading));
    heading
        .chain(
            rows.iter()
                .map(|row| line(std::array::from_fn(|column| row[column].as_str()))),
        )
        .collect()
}

/// `1 job`, `2 jobs`.
pub(super) fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::{columns, count};

    #[test]
    fn cells_of_a_column_start_at_one_place() {
        let rows = [["ü", "1", "x y"], ["long", "", ""]].map(|row| row.map(str::to_owned));
        assert_eq!(columns(["a", "b", "c"], &rows), ["a     b  c", "ü     1  x y", "long"]);
        assert_eq!(
            (count(1, "job"), count(2, "job")),
            ("1 job".to_owned(), "2 jobs".to_owned())
        );
    }
}
