//! CSV as spreadsheets read it (RFC 4180), so that no cell is taken for a formula.

/// Characters with which a spreadsheet begins a formula.
const FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\0'];

/// Adds a line. A cell that would be a formula begins with `'`, as does one that begins with it already.
pub(crate) fn csv_row(text: &mut String, cells: &[&str]) {
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        let is_guarded = cell.starts_with(FORMULA) || cell.starts_with('\'');
        let is_quoted = is_guarded || cell.contains([',', '"', '\n', '\r']);
        if !is_quoted {
            text.push_str(cell);
            continue;
        }
        text.push('"');
        if is_guarded {
            text.push('\'');
        }
        text.push_str(&cell.replace('"', "\"\""));
        text.push('"');
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sec_112_no_cell_is_a_formula() {
        let mut text = String::new();
        csv_row(&mut text, &["plain", "a,b", "say \"x\"", "=1+1", "-2", "'quoted", ""]);
        assert_eq!(text, "plain,\"a,b\",\"say \"\"x\"\"\",\"'=1+1\",\"'-2\",\"''quoted\",\n");
    }
}
