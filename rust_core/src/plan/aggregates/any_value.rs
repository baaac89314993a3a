//! Some value of each group: the first that is met, be it NULL. For columns that depend on the group's key.
//!
//! The rows that bring new groups are taken out of each batch at once; a batch without new groups costs nothing.

use arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array};
use arrow::compute::{concat, take};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::column;
use crate::error::Error;

pub(super) struct AnyValue {
    data_type: DataType,
    /// Values in the order of the groups.
    chunks: Vec<ArrayRef>,
    length: usize,
    bytes: usize,
}

impl AnyValue {
    pub fn new(data_type: DataType) -> Self {
        Self { data_type, chunks: vec![], length: 0, bytes: 0 }
    }

    /// Joins chunks so that each is longer than all behind it: they stay few, and a value is copied some times only.
    fn push(&mut self, mut chunk: ArrayRef) -> Result<()> {
        self.length += chunk.len();
        self.bytes += chunk.get_array_memory_size();
        while let Some(before) = self.chunks.pop_if(|before| before.len() <= chunk.len()) {
            let longer = joined(&[ArrayRef::clone(&before), ArrayRef::clone(&chunk)], &self.data_type)?;
            self.bytes += longer.get_array_memory_size();
            self.bytes = self.bytes.saturating_sub(before.get_array_memory_size() + chunk.get_array_memory_size());
            chunk = longer;
        }
        self.chunks.push(chunk);
        Ok(())
    }

    fn emit(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let all = joined(&std::mem::take(&mut self.chunks), &self.data_type)?;
        (self.length, self.bytes) = (0, 0);
        match emit_to {
            EmitTo::All => Ok(all),
            EmitTo::First(count) if count <= all.len() => {
                let rest = all.slice(count, all.len() - count);
                self.push(rest)?;
                Ok(all.slice(0, count))
            }
            EmitTo::First(_) => Err(Error::internal("more groups were asked for than there are").into()),
        }
    }
}

fn joined(chunks: &[ArrayRef], data_type: &DataType) -> Result<ArrayRef> {
    match chunks {
        [] => Ok(arrow::array::new_empty_array(data_type)),
        [only] => Ok(ArrayRef::clone(only)),
        chunks => Ok(concat(&chunks.iter().map(|chunk| chunk.as_ref()).collect::<Vec<_>>())?),
    }
}

impl GroupsAccumulator for AnyValue {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        let values = column(values, 0)?;
        // A group that has no rows, the one of an empty grouping set, is told by a row that does not count: it has NULL.
        let counts = match opt_filter {
            None => true,
            Some(filter) if filter.true_count() == 0 => false,
            Some(_) => return Err(Error::internal("any value of a group has no filter").into()),
        };
        let new = total_num_groups.saturating_sub(self.length);
        if new == 0 || values.is_empty() {
            return Ok(());
        }
        let mut firsts: Vec<Option<u32>> = vec![None; new];
        let mut missing = new;
        for (row, group) in (0u32..).zip(group_indices.iter().take_while(|_| counts)) {
            if let Some(first) = group.checked_sub(self.length).and_then(|new| firsts.get_mut(new))
                && first.is_none()
            {
                *first = Some(row);
                missing -= 1;
                if missing == 0 {
                    break;
                }
            }
        }
        self.push(take(values, &UInt32Array::from(firsts), None)?)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.update_batch(values, group_indices, None, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.emit(emit_to)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.emit(emit_to)?])
    }

    fn convert_to_state(&self, values: &[ArrayRef], _: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        Ok(vec![ArrayRef::clone(column(values, 0)?)])
    }

    fn size(&self) -> usize {
        self.bytes
    }
}
