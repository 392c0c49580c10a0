//! Columns of text, aligned.
//!
//! Knows no colour: a caller paints whole lines.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// One line per row, columns two blanks apart, without blanks at the end. `right` are the numbers of the
/// columns that are aligned to the right.
pub fn columns<const N: usize>(rows: &[[String; N]], right: &[usize]) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    for row in rows {
        table.add_row(row.to_vec());
    }
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if number + 1 == N { 0 } else { 2 }));
        if right.contains(&number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_lines_end_in_no_blank() {
        let rows = [
            ["shells".to_owned(), "4".to_owned(), String::new()],
            ["package managers".to_owned(), "123".to_owned(), "x".to_owned()],
        ];
        assert_eq!(columns(&rows, &[1]), ["shells              4", "package managers  123  x"]);
    }
}
