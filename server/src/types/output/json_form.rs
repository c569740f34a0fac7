//! Values as JSON, for files of one JSON object per line: numbers, booleans, arrays and JSON as themselves, anything else as a string.

use super::{BoundColumn, Values, json, text_of};
use crate::error::Result;
use crate::types::SqlType;

impl BoundColumn {
    /// Appends the value at `row` as JSON, on one line.
    pub(crate) fn write_json(&self, sql_type: &SqlType, row: usize, out: &mut String) -> Result<()> {
        if self.is_null(row) {
            out.push_str("null");
            return Ok(());
        }
        match &self.values {
            Values::Boolean(values) => out.push_str(if values.value(row) { "true" } else { "false" }),
            Values::Int2(_) | Values::Int4(_) | Values::Int8(_) | Values::Oid(_) => out.push_str(&text_of(self, row)?),
            Values::Decimal128(..) | Values::Quotient(..) | Values::Decimal256(..) => out.push_str(&text_of(self, row)?),
            Values::Float4(values, _) if values.value(row).is_finite() => out.push_str(&text_of(self, row)?),
            Values::Float8(values, _) if values.value(row).is_finite() => out.push_str(&text_of(self, row)?),
            Values::List(list, elements, scalar) => {
                let (start, end) = (list.value_offsets()[row] as usize, list.value_offsets()[row + 1] as usize);
                out.push('[');
                for index in start..end {
                    out.push_str(if index == start { "" } else { "," });
                    elements.write_json(scalar, index, out)?;
                }
                out.push(']');
            }
            // A line break in JSON stands between its parts only: within a string it is escaped.
            _ if matches!(sql_type, SqlType::Json | SqlType::Jsonb) => out.push_str(&text_of(self, row)?.replace(['\n', '\r'], " ")),
            _ => json::write_string(&text_of(self, row)?, out),
        }
        Ok(())
    }
}
