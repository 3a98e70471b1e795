//! A Parquet file, compressed with zstd: every column may hold nulls.

use std::{fs::File, sync::Arc};

use anyhow::{Result, anyhow};
use parquet::{
    basic::{Compression, ConvertedType, Repetition, Type as Physical, ZstdLevel},
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type},
    file::{
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::Type as Schema,
};
use serde_json::Value;

use super::{Column, Type, text};

/// How many rows are in memory at once.
const GROUP_ROWS: usize = 16_384;

/// Writes the rows.
pub(super) fn write(
    columns: &[Column],
    outcomes: impl Iterator<Item = Result<Value>>,
    file: File,
) -> Result<()> {
    let level = Compression::ZSTD(ZstdLevel::try_new(1)?);
    let properties = WriterProperties::builder().set_compression(level).build();
    let mut writer = SerializedFileWriter::new(file, schema(columns)?, Arc::new(properties))?;
    let mut outcomes = outcomes.peekable();
    while outcomes.peek().is_some() {
        let rows = outcomes.by_ref().take(GROUP_ROWS).collect::<Result<Vec<Value>>>()?;
        let mut group = writer.next_row_group()?;
        for column in columns {
            write_column(&mut group, column, &rows)?;
        }
        group.close()?;
    }
    writer.close()?;
    Ok(())
}

fn schema(columns: &[Column]) -> Result<Arc<Schema>> {
    let field = |column: &Column| {
        let (physical, converted) = match column.kind {
            Some(Type::Bool) => (Physical::BOOLEAN, ConvertedType::NONE),
            Some(Type::Int) => (Physical::INT64, ConvertedType::NONE),
            Some(Type::Float) => (Physical::DOUBLE, ConvertedType::NONE),
            Some(Type::Text) | None => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
        };
        let field = Schema::primitive_type_builder(&column.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_converted_type(converted);
        field.build().map(Arc::new)
    };
    let fields = columns.iter().map(field).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Schema::group_type_builder("outcome").with_fields(fields).build()?))
}

fn write_column(
    group: &mut SerializedRowGroupWriter<'_, File>,
    column: &Column,
    rows: &[Value],
) -> Result<()> {
    let next = group.next_column()?.ok_or_else(|| anyhow!("a column has no place"))?;
    let values = rows.iter().map(|row| column.value(row));
    match column.kind {
        Some(Type::Bool) => write_values::<BoolType>(next, values.map(Value::as_bool)),
        Some(Type::Int) => write_values::<Int64Type>(next, values.map(Value::as_i64)),
        Some(Type::Float) => write_values::<DoubleType>(next, values.map(Value::as_f64)),
        Some(Type::Text) | None => {
            let texts = values.map(|it| text(it).map(|text| ByteArray::from(text.into_bytes())));
            write_values::<ByteArrayType>(next, texts)
        }
    }
}

/// Writes a column's values, of which some may be missing.
fn write_values<T: DataType>(
    mut column: SerializedColumnWriter<'_>,
    values: impl Iterator<Item = Option<T::T>>,
) -> Result<()> {
    let (mut there, mut levels) = (Vec::new(), Vec::new());
    for value in values {
        levels.push(i16::from(value.is_some()));
        there.extend(value);
    }
    column.typed::<T>().write_batch(&there, Some(&levels), None)?;
    Ok(column.close()?)
}
