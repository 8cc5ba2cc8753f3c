//! What we export is what arrow-rs and we ourselves import, however it was cut, and may be released in any order.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::ffi::from_ffi_and_data_type;
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrowPrimitiveType, BinaryArray, BooleanArray, Date32Array, Date64Array, Decimal128Array,
    DictionaryArray, DurationNanosecondArray, LargeBinaryArray, LargeListArray, LargeStringArray,
    PrimitiveArray, StringArray, StructArray, TimestampMillisecondArray, TimestampNanosecondArray,
    make_array, types,
};
use arrow_buffer::{ArrowNativeType, NullBuffer, OffsetBuffer};
use arrow_schema::{Field, Fields, Schema};

use super::*;
use crate::import::{import_batch, import_valid_batch};

const ROWS: usize = 41;

/// Every third row is null, and the last one.
fn nulls() -> NullBuffer {
    (0..ROWS).map(|row| row % 3 != 1 && row + 1 < ROWS).collect()
}

fn numbers<T: ArrowPrimitiveType>() -> ArrayRef {
    let values = (0..ROWS).map(T::Native::usize_as).collect::<Vec<_>>();
    Arc::new(PrimitiveArray::<T>::new(values.into(), Some(nulls())))
}

fn texts() -> impl Iterator<Item = Option<String>> {
    (0..ROWS).map(|row| (row % 4 != 2).then(|| "ä\0".repeat(row % 5)))
}

fn words() -> ArrayRef {
    let words = texts().collect::<Vec<_>>();
    Arc::new(words.iter().map(Option::as_deref).collect::<DictionaryArray<Int32Type>>())
}

fn lists() -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for (row, text) in texts().enumerate() {
        lists.append_value((0..row % 3).map(|_| text.as_deref()));
    }
    lists.append_null();
    // One row more, cut off: lists need not begin at the first item.
    Arc::new(lists.finish().slice(1, ROWS))
}

fn maps() -> ArrayRef {
    let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for (row, text) in texts().enumerate() {
        for key in 0..row % 3 {
            maps.keys().append_value(format!("key {key}"));
            maps.values().append_option(text.as_deref());
        }
        maps.append(row % 5 != 3).unwrap();
    }
    maps.append(true).unwrap();
    // As for lists.
    Arc::new(maps.finish().slice(1, ROWS))
}

fn tables() -> ArrayRef {
    let columns = [("words", words()), ("lists", lists()), ("flags", flags())];
    let fields: Fields =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    let columns = columns.map(|(_, column)| column).to_vec();
    Arc::new(StructArray::new(fields, columns, Some(nulls())))
}

fn lists_of_tables() -> ArrayRef {
    let tables = tables();
    let item = Arc::new(Field::new("item", tables.data_type().clone(), true));
    let lengths = (0..ROWS).map(|row| usize::from(row % 2 == 0));
    Arc::new(LargeListArray::new(item, OffsetBuffer::from_lengths(lengths), tables, Some(nulls())))
}

fn flags() -> ArrayRef {
    Arc::new((0..ROWS).map(|row| Some(row % 5 < 2)).collect::<BooleanArray>())
}

/// Values and validity begin at different bits.
fn crooked_flags() -> ArrayRef {
    let long = (0..ROWS + 3).map(|row| row % 7 < 3).collect::<BooleanBuffer>();
    Arc::new(BooleanArray::new(long.slice(3, ROWS), Some(nulls())))
}

/// One column of every type that crosses.
fn batch() -> RecordBatch {
    let columns = [
        flags(),
        crooked_flags(),
        numbers::<types::Int8Type>(),
        numbers::<types::Int16Type>(),
        numbers::<types::Int32Type>(),
        numbers::<types::Int64Type>(),
        numbers::<types::UInt8Type>(),
        numbers::<types::UInt16Type>(),
        numbers::<types::UInt32Type>(),
        numbers::<types::UInt64Type>(),
        numbers::<types::Float16Type>(),
        numbers::<types::Float32Type>(),
        numbers::<types::Float64Type>(),
        Arc::new(TimestampNanosecondArray::from_iter_values(0..ROWS as i64).with_timezone("Europe/Berlin")),
        Arc::new(TimestampMillisecondArray::from_iter_values(0..ROWS as i64)),
        Arc::new(Date32Array::from_iter_values(0..ROWS as i32)),
        Arc::new(Date64Array::from_iter_values(0..ROWS as i64)),
        Arc::new(Decimal128Array::from_iter_values(0..ROWS as i128).with_precision_and_scale(20, 3).unwrap()),
        Arc::new(texts().collect::<StringArray>()),
        Arc::new(texts().collect::<LargeStringArray>()),
        Arc::new(texts().map(|text| text.map(String::into_bytes)).collect::<BinaryArray>()),
        Arc::new(texts().map(|text| text.map(String::into_bytes)).collect::<LargeBinaryArray>()),
        words(),
        lists(),
        tables(),
        lists_of_tables(),
        Arc::new(DurationNanosecondArray::from_iter_values(0..ROWS as i64)),
        maps(),
    ];
    let column = |(index, column): (usize, ArrayRef)| (format!("c{index}"), column, true);
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().enumerate().map(column)).unwrap()
}

fn exported(batch: &RecordBatch) -> FFI_ArrowArray {
    export_batch(batch.clone(), batch.schema_ref()).unwrap()
}

/// As arrow-rs sees it.
fn arrow_import(array: FFI_ArrowArray, data_type: &DataType) -> ArrayRef {
    let data = unsafe { from_ffi_and_data_type(array, data_type.clone()) }.unwrap();
    data.validate_full().unwrap();
    make_array(data)
}

#[test]
fn every_type_crosses_however_it_is_cut() {
    let whole = batch();
    for (from, rows) in
        [(0, ROWS), (1, 9), (3, 30), (7, 1), (8, 16), (9, 0), (0, 0), (ROWS, 0), (33, 8), (40, 1)]
    {
        let sent = whole.slice(from, rows);
        let again = sent.slice(rows / 2, rows - rows / 2);
        for sent in [sent, again] {
            let schema = sent.schema_ref();
            assert_eq!(unsafe { import_batch(exported(&sent), schema) }.unwrap(), sent);
            assert_eq!(unsafe { import_valid_batch(exported(&sent), schema) }.unwrap(), sent);
            let table = StructArray::from(sent.clone());
            let theirs = FFI_ArrowArray::new(&table.to_data());
            assert_eq!(unsafe { import_batch(theirs, schema) }.unwrap(), sent);
            // What arrow-rs's own export makes of texts without rows, its own validation refuses too.
            if sent.num_rows() > 0 {
                let received = arrow_import(exported(&sent), table.data_type());
                assert_eq!(received.as_struct(), &table);
            }
        }
    }
}

#[test]
fn what_arrived_can_be_sent_on() {
    let mut batch = batch().slice(5, 30);
    let sent = batch.clone();
    for cut in 1..5 {
        batch =
            unsafe { import_batch(exported(&batch), batch.schema_ref()) }.unwrap().slice(cut, 30 - 5 * cut);
        assert_eq!(batch, sent.slice((1..=cut).sum(), 30 - 5 * cut));
    }
}

/// Moves a struct out of its place, as receivers of C structs may.
fn moved_out(array: &FFI_ArrowArray, index: usize) -> FFI_ArrowArray {
    let child = std::ptr::from_ref(array.child(index)).cast_mut();
    unsafe { FFI_ArrowArray::from_raw(child) }
}

/// How often the memory of a batch's first column is referred to.
fn references(batch: &RecordBatch) -> usize {
    batch.column(0).to_data().buffers()[0].strong_count() - 1
}

#[test]
fn columns_moved_out_outlive_their_batch_in_any_order_on_any_thread() {
    for (backwards, threads) in [(false, false), (true, false), (false, true), (true, true)] {
        let batch = batch();
        let array = exported(&batch);
        let mut columns: Vec<_> = (0..batch.num_columns()).map(|index| moved_out(&array, index)).collect();
        // The items of a list go alone, their list stays behind.
        let lists = columns.remove(23);
        let items = moved_out(&lists, 0);
        drop(lists);
        drop(array);
        if backwards {
            columns.reverse();
        }
        let columns: Vec<_> = columns.into_iter().chain([items]).collect();
        let used = |column: FFI_ArrowArray| assert!(!column.is_empty() && !column.is_released());
        if threads {
            std::thread::scope(|scope| {
                for column in columns {
                    scope.spawn(move || used(column));
                }
            });
        } else {
            columns.into_iter().for_each(used);
        }
        assert_eq!(references(&batch), 1, "the memory is let go");
    }
}

#[test]
fn a_column_moved_out_can_still_be_read() {
    let batch = batch();
    for index in 0..batch.num_columns() {
        let array = exported(&batch);
        let column = moved_out(&array, index);
        drop(array);
        let expected = batch.column(index);
        assert_eq!(arrow_import(column, expected.data_type()).as_ref(), expected.as_ref());
    }
    assert_eq!(references(&batch), 1, "the memory is let go");
}

#[test]
fn nothing_but_crooked_bitmaps_is_copied() {
    let sent = batch().slice(3, 20);
    let received = unsafe { import_batch(exported(&sent), sent.schema_ref()) }.unwrap();
    for (received, sent) in received.columns().iter().zip(sent.columns()) {
        let addresses = |array: &ArrayRef| match array.data_type() {
            DataType::Utf8 => array.as_string::<i32>().value_data().as_ptr(),
            DataType::Boolean => array.as_boolean().values().values()[array.offset() / 8..].as_ptr(),
            DataType::Int64 => array.as_primitive::<types::Int64Type>().values().inner().as_ptr(),
            _ => null(),
        };
        let crooked = sent.nulls().is_some() && *sent.data_type() == DataType::Boolean;
        assert!(crooked || addresses(received) == addresses(sent), "{}", sent.data_type());
    }
}

#[test]
fn long_texts_cross() {
    let long = "x\0é".repeat(300_000);
    let column: ArrayRef =
        Arc::new(StringArray::from(vec![Some(long.as_str()), None, Some(""), Some(&long)]));
    let sent = RecordBatch::try_from_iter([("text", column)]).unwrap().slice(1, 3);
    assert_eq!(unsafe { import_batch(exported(&sent), sent.schema_ref()) }.unwrap(), sent);
}

#[test]
fn lists_without_rows_cross() {
    let mut lists = ListBuilder::new(Int64Builder::new());
    let empty: ArrayRef = Arc::new(lists.finish());
    let sent = RecordBatch::try_from_iter([("list", empty)]).unwrap();
    assert_eq!(unsafe { import_batch(exported(&sent), sent.schema_ref()) }.unwrap(), sent);
}

#[test]
fn types_that_do_not_cross_are_refused() {
    for data_type in [DataType::Utf8View, DataType::Null] {
        let schema = Arc::new(Schema::new(vec![Field::new("c", data_type, true)]));
        let error = export_batch(RecordBatch::new_empty(schema.clone()), &schema).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
    let bytes = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let schema = Arc::new(Schema::new(vec![Field::new("c", bytes, true)]));
    assert!(export_batch(RecordBatch::new_empty(schema.clone()), &schema).is_err());
}
