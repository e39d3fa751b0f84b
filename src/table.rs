//! Rows as a person reads them.

use serde_json::Value;

/// Columns of the first row's keys, padded; a single row is printed as one line a key, so that ids can be copied.
pub(crate) fn text(rows: &[Value]) -> String {
    let cells: Vec<Vec<(String, String)>> = rows.iter().map(row).collect();
    match cells.as_slice() {
        [] => "none\n".to_owned(),
        [only] => pairs(only),
        all => columns(all),
    }
}

/// `key  value` lines, the values aligned.
pub(crate) fn pairs(pairs: &[(String, String)]) -> String {
    let width = pairs.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
    pairs.iter().map(|(key, value)| format!("{key:width$}  {value}\n")).collect()
}

/// A line of keys, then a line a row, the columns aligned.
pub(crate) fn columns(rows: &[Vec<(String, String)>]) -> String {
    let head = rows.first().map(|row| row.iter().map(|(key, _)| key.as_str()).collect()).unwrap_or_default();
    let body = rows.iter().map(|row| row.iter().map(|(_, value)| value.as_str()).collect());
    let lines: Vec<Vec<&str>> = std::iter::once(head).chain(body).collect();
    let count = lines.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    lines
        .iter()
        .map(|line| {
            let padded: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            format!("{}\n", padded.join("  ").trim_end())
        })
        .collect()
}

fn row(value: &Value) -> Vec<(String, String)> {
    let Value::Object(fields) = value else { return Vec::new() };
    fields.iter().map(|(key, value)| (key.clone(), cell(value))).collect()
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn many_rows_are_columns_one_row_is_lines() {
        let rows = [json!({"id": 1, "name": "ab"}), json!({"id": 22, "name": null})];
        assert_eq!(text(&rows), "id  name\n1   ab\n22  -\n");
        assert_eq!(text(&rows[..1]), "id    1\nname  ab\n");
        assert_eq!(text(&[]), "none\n");
    }
}
