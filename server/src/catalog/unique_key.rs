//! What a unique key says beyond its columns: expressions, the rows that it is about, whether NULLs are equal, columns beside it, and when it is
//! checked. A key that says nothing of this is plain.

use super::{Constraint, TableDefinition};
use serde::{Deserialize, Serialize};
use storage::ColumnId;

/// See the module. The columns of [`Constraint::Unique`] are those parts of the key that are columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyOptions {
    /// The parts of the key in their order, if some of them are expressions; empty if all are columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<KeyPart>,
    /// Only rows of which this is true have a key; SQL text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The columns that expressions and condition name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<ColumnId>,
    /// NULLS NOT DISTINCT.
    #[serde(default, skip_serializing_if = "is_false")]
    pub nulls_equal: bool,
    /// INCLUDE: columns that are no part of the key, and have nothing to do here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<ColumnId>,
    /// DEFERRABLE.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deferrable: bool,
    /// INITIALLY DEFERRED.
    #[serde(default, skip_serializing_if = "is_false")]
    pub deferred: bool,
}

/// A part of a key that has expressions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyPart {
    /// A column.
    Column(ColumnId),
    /// An expression over the table's columns, as SQL text.
    Expression(String),
}

fn is_false(value: &bool) -> bool {
    !value
}

impl KeyOptions {
    /// Whether they say nothing.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Whether each row has a key, and the key is made of columns alone.
    pub fn is_of_columns(&self) -> bool {
        self.parts.is_empty() && self.condition.is_none()
    }

    /// The ids of all columns that are named.
    pub fn columns_mut(&mut self) -> impl Iterator<Item = &mut ColumnId> {
        let parts = self.parts.iter_mut().filter_map(|part| match part {
            KeyPart::Column(id) => Some(id),
            KeyPart::Expression(_) => None,
        });
        parts.chain(&mut self.names).chain(&mut self.include)
    }

    /// All texts in which columns are named.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let parts = self.parts.iter_mut().filter_map(|part| match part {
            KeyPart::Column(_) => None,
            KeyPart::Expression(text) => Some(text),
        });
        parts.chain(&mut self.condition)
    }
}

impl Constraint {
    /// The options of a unique key.
    pub fn key_options(&self) -> Option<&KeyOptions> {
        match self {
            Constraint::Unique { options, .. } => Some(options),
            Constraint::Check { .. } | Constraint::Foreign(_) => None,
        }
    }

    /// The columns on which a row's key depends.
    pub fn key_depends_on(&self) -> Vec<ColumnId> {
        let Constraint::Unique { columns, options, .. } = self else { return Vec::new() };
        columns.iter().chain(options.names.iter().filter(|id| !columns.contains(id))).copied().collect()
    }
}

impl TableDefinition {
    /// The parts of a unique key in their order.
    pub fn key_parts(&self, columns: &[ColumnId], options: &KeyOptions) -> Vec<KeyPart> {
        match options.parts.is_empty() {
            true => columns.iter().map(|id| KeyPart::Column(*id)).collect(),
            false => options.parts.clone(),
        }
    }
}
