//! Tables as text and as Markdown.

/// Rows of cells under a head. The first column is flush left, the others flush right.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(super) fn new(head: Vec<String>) -> Self {
        Self { rows: vec![head] }
    }

    pub(super) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// As text, in columns.
    pub(super) fn text(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                if column == 0 {
                    text.push_str(&format!("{cell:<width$}"));
                } else {
                    text.push_str(&format!("  {cell:>width$}"));
                }
            }
            text.push('\n');
        }
        text
    }

    /// As Markdown.
    pub(super) fn markdown(&self) -> String {
        let line = |row: &[String]| format!("| {} |\n", row.join(" | "));
        let mut text = line(&self.rows[0]);
        text.push_str("|---|");
        text.push_str(&"---:|".repeat(self.rows[0].len() - 1));
        text.push('\n');
        self.rows[1..].iter().for_each(|row| text.push_str(&line(row)));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_flush() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let mut table = Table::new(row(["case", "µs"]));
        table.push(row(["a", "12 345"]));
        assert_eq!(table.text(), "case      µs\na     12 345\n");
        assert_eq!(table.markdown(), "| case | µs |\n|---|---:|\n| a | 12 345 |\n");
    }
}
